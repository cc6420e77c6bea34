"""Keys: made once, never overwritten, and read only in the form in which they were written."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from auditor.errors import InputError
from auditor.ledger import (
    KEY_VARIABLE,
    SigningKey,
    VerifyingKey,
    generate_key,
    signing_key_from,
)

# The key of the test suite of golang.org/x/mod/sumdb/note, with a text that it signed.
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
TEXT = (
    b"If you think cryptography is the answer to your problem,\n"
    b"then you don't know what your problem is.\n"
)
SIGNED = base64.b64decode(
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
)


def test_the_published_key_reads_and_verifies_its_published_signature() -> None:
    key = VerifyingKey.parse(VKEY)
    assert key.name == "PeterNeumann"
    assert key.key_id == SIGNED[:4] == bytes.fromhex("c74f20a3")
    assert str(key) == VKEY
    assert key.verify(SIGNED[4:], TEXT)
    assert not key.verify(SIGNED[4:], TEXT.upper())
    assert not key.verify(SIGNED[4:-1], TEXT)


def test_signing_again_gives_the_published_signature(make_key: Callable[..., SigningKey]) -> None:
    key = make_key(SEED, "PeterNeumann")
    assert str(key.verifying_key) == VKEY
    assert key.sign(TEXT) == SIGNED[4:]


def test_every_part_and_every_other_byte_of_a_public_key_is_refused() -> None:
    for start in range(len(VKEY)):
        for end in range(start + 1, len(VKEY) + 1):
            if end - start < len(VKEY):
                with pytest.raises(InputError):
                    VerifyingKey.parse(VKEY[start:end])
    for at in range(len(VKEY)):
        for bit in range(7):
            altered = VKEY[:at] + chr(ord(VKEY[at]) ^ 1 << bit) + VKEY[at + 1 :]
            with pytest.raises(InputError):
                VerifyingKey.parse(altered)


@given(st.binary(min_size=32, max_size=32), st.text(min_size=1, max_size=20))
def test_a_key_that_can_be_made_reads_back(seed: bytes, name: str) -> None:
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    try:
        key = VerifyingKey(name=name, public=public)
    except ValidationError:
        assert not name.isprintable() or any(c.isspace() or c == "+" for c in name)
    else:
        assert VerifyingKey.parse(str(key)) == key


def test_the_fingerprint_is_of_the_key_and_not_of_its_name() -> None:
    key = VerifyingKey.parse(VKEY)
    other = VerifyingKey(name="somebody", public=key.public)
    assert key.fingerprint == other.fingerprint
    assert key.fingerprint == f"sha256:{hashlib.sha256(key.public).hexdigest()}"
    assert key.key_id != other.key_id


def test_points_under_which_one_signature_fits_many_texts_are_no_keys() -> None:
    prime = 2**255 - 19
    d = -121665 * pow(121666, -1, prime) % prime

    def double(y: int) -> int:
        """The y coordinate of twice a point of the curve -x² + y² = 1 + d x² y²."""
        xx = (y * y - 1) * pow(d * y * y + 1, -1, prime) % prime
        return (y * y + xx) * pow(1 - d * xx * y * y, -1, prime) % prime

    order_8 = int.from_bytes(
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
    )
    assert double(double(order_8)) == prime - 1
    small = [0, 1, prime - 1, order_8, prime - order_8]
    assert all(double(double(double(y))) == 1 for y in small)
    for y in [*small, prime, prime + 1]:
        for sign in (0, 1 << 255):
            with pytest.raises(ValidationError):
                VerifyingKey(name="me", public=(y | sign).to_bytes(32, "little"))


def test_a_new_key_is_two_files_and_signs(tmp_path: Path) -> None:
    file = tmp_path / "new" / "me.key"
    public = generate_key(file)
    written = (tmp_path / "new" / "me.key.pub").read_text()
    assert written == f"{public}\n"
    assert public.name == "me"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    key = SigningKey.load(file)
    assert key.verifying_key == public == VerifyingKey.load(f"{file}.pub")
    assert public.verify(key.sign(b"text"), b"text")
    assert "PRIVATE KEY" in file.read_text()
    assert "private" not in repr(key).lower()


def test_the_mode_of_a_private_key_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        generate_key(tmp_path / "me.key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "me.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("there", ["me.key", "me.key.pub"])
def test_a_key_is_never_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("precious")
    with pytest.raises(InputError, match=f"{there}: this file exists, and a key is never"):
        generate_key(tmp_path / "me.key")
    assert [item.name for item in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "precious"


def test_a_key_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="folder cannot be made: File exists"):
        generate_key(tmp_path / "file" / "me.key")
    with pytest.raises(InputError, match="never overwritten"):
        generate_key("/dev/full")
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("failing_file", [0, 1])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_full_disk_or_an_interruption_leaves_no_half_of_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing_file: int, error: BaseException
) -> None:
    left = failing_file

    def fail(fd: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises((InputError, KeyboardInterrupt)) as caught:
            generate_key(tmp_path / "me.key")
    if isinstance(error, OSError):
        assert "the key cannot be written: No space left" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_place_without_permission_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(InputError, match="cannot be written: Permission denied"):
            generate_key(tmp_path / "me.key")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("file", "name"),
    [("me.key", "me"), ("my own key.pem", "my-own-key"), ("a+b", "a-b"), ("+", "auditor"),
     ("  ", "auditor"), ("é.key", "é"), ("tab\t.key", "tab")],
)  # fmt: skip
def test_the_name_comes_from_the_file(tmp_path: Path, file: str, name: str) -> None:
    assert generate_key(tmp_path / file).name == name
    assert SigningKey.load(tmp_path / file).name == name


def test_the_public_file_beside_a_key_names_it(tmp_path: Path) -> None:
    public = generate_key(tmp_path / "me.key")
    renamed = VerifyingKey(name="audit.example/2026", public=public.public)
    (tmp_path / "me.key.pub").write_text(f"{renamed}\n")
    assert SigningKey.load(tmp_path / "me.key").verifying_key == renamed
    (tmp_path / "me.key.pub").unlink()
    assert SigningKey.load(tmp_path / "me.key").verifying_key == public


def test_another_public_file_beside_a_key_is_refused(tmp_path: Path) -> None:
    generate_key(tmp_path / "me.key")
    (tmp_path / "me.key.pub").write_text(f"{VKEY}\n")
    with pytest.raises(InputError, match=r"does not belong to me\.key\.pub beside it"):
        SigningKey.load(tmp_path / "me.key")


def pem(private: object, *, password: bytes | None = None) -> bytes:
    encryption = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    return private.private_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not a private key in PEM form"),
        (b"\x00\xff\x80", "not a private key in PEM form"),
        (VKEY.encode(), "this is a public key where a private one is meant"),
        (b"-----BEGIN PUBLIC KEY-----\n", "this is a public key where a private one is meant"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "cannot be read"),
        (pem(Ed25519PrivateKey.generate())[:70], "cannot be read"),
        (pem(Ed25519PrivateKey.generate(), password=b"secret"), "is encrypted"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "not an Ed25519 key"),
        (b"x" * 70_000, "too large to be a key"),
    ],
    ids=str.split("empty bytes vkey public-pem no-key cut encrypted elliptic large"),
)
def test_what_is_no_private_key_says_what_it_is(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    file = tmp_path / "me.key"
    file.write_bytes(content)
    with pytest.raises(InputError, match=complaint) as caught:
        SigningKey.load(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not a public key"),
        (b"\xff", "not a public key"),
        (f"{VKEY}\n\n".encode(), "not base64"),
        (f"{VKEY}\r\n".encode(), "not base64"),
        (f"{VKEY} me\n".encode(), "not base64"),
        (f" {VKEY}\n".encode(), "name"),
        (VKEY.replace("c74f20a3", "C74F20A3").encode(), "key id"),
        (VKEY.replace("c74f20a3", "c74f20a4").encode(), "c74f20a3"),
        (pem(Ed25519PrivateKey.generate()), "this is a private key where a public one is meant"),
    ],
    ids=str.split("empty bytes line return comment space upper-case other-id private"),
)
def test_what_is_no_public_key_says_what_it_is(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    file = tmp_path / "me.pub"
    file.write_bytes(content)
    with pytest.raises(InputError, match=complaint) as caught:
        VerifyingKey.load(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("load", [SigningKey.load, VerifyingKey.load, signing_key_from])
def test_a_missing_key_says_how_to_make_one(tmp_path: Path, load: Callable[[Path], object]) -> None:
    for path in (tmp_path / "absent.key", tmp_path):
        with pytest.raises(InputError, match="auditor keys new"):
            load(path)


def test_there_is_no_default_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate_key(tmp_path / "env.key")
    generate_key(tmp_path / "given.key")
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert signing_key_from(None) is None
    monkeypatch.setenv(KEY_VARIABLE, "")
    assert signing_key_from(None) is None
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "env.key"))
    from_variable = signing_key_from(None)
    assert from_variable is not None
    assert from_variable.name == "env"
    given = signing_key_from(tmp_path / "given.key")
    assert given is not None
    assert given.name == "given"
    monkeypatch.setenv(KEY_VARIABLE, (tmp_path / "env.key").read_text())
    from_text = signing_key_from(None)
    assert from_text is not None
    assert from_text.name == "auditor"
    assert from_text.verifying_key.public == from_variable.verifying_key.public
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "absent.key"))
    with pytest.raises(InputError, match="absent"):
        signing_key_from(None)


def test_a_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    generate_key("~/.auditor/me.key")
    assert (tmp_path / ".auditor" / "me.key").is_file()
    assert SigningKey.load("~/.auditor/me.key").name == "me"
    assert VerifyingKey.load("~/.auditor/me.key.pub").name == "me"
