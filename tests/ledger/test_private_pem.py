"""Private keys at rest: what encrypts them, who else can read them, and what a file may cost."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.ledger import SigningKey, der, generate_key, signing_key_from
from auditor.ledger.passphrase import PASSPHRASE_VARIABLE, read_passphrase_file
from auditor.ledger.private_pem import decode_private, encode_private

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SECRET = {PASSPHRASE_VARIABLE: "correct horse"}


@pytest.fixture(scope="module")
def encrypted() -> bytes:
    return encode_private(PRIVATE, passphrase="correct horse")


def decode(data: bytes, passphrase: str = "correct horse") -> Ed25519PrivateKey:
    return decode_private(
        data, Ed25519PrivateKey, valid="a key", asked=lambda: passphrase, where="key"
    )


def test_the_parameters_are_scrypt_and_aes_as_asn1crypto_reads_them(encrypted: bytes) -> None:
    from asn1crypto import keys, pem

    name, _, data = pem.unarmor(encrypted)
    assert name == "ENCRYPTED PRIVATE KEY"
    algorithm = keys.EncryptedPrivateKeyInfo.load(data, strict=True)["encryption_algorithm"]
    assert algorithm["algorithm"].native == "pbes2"
    derivation = algorithm["parameters"]["key_derivation_func"]
    assert derivation["algorithm"].dotted == "1.3.6.1.4.1.11591.4.11"
    assert algorithm["parameters"]["encryption_scheme"]["algorithm"].native == "aes256_cbc"
    assert data.count(der.integer(2**14) + der.integer(8) + der.integer(5)) == 1


def test_a_passphrase_opens_the_key_and_no_other_does(encrypted: bytes) -> None:
    assert decode(encrypted).private_bytes_raw() == bytes(range(32))
    for wrong in ("Correct horse", "", "correct horse "):
        with pytest.raises(InputError, match="wrong passphrase, or a damaged file"):
            decode(encrypted, wrong)
    assert encode_private(PRIVATE, passphrase="correct horse") != encrypted  # another salt


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_opens_the_key(encrypted: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(encrypted)
    done = subprocess.run(
        ["openssl", "pkey", "-in", tmp_path / "key", "-passin", "pass:correct horse", "-text",
         "-noout"], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ED25519 Private-Key" in done.stdout


def test_keys_that_the_library_encrypted_open_too() -> None:
    data = PRIVATE.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"correct horse"),
    )
    assert decode(data).private_bytes_raw() == bytes(range(32))


def with_costs(*costs: int, function: str = "1.3.6.1.4.1.11591.4.11") -> bytes:
    parameters = der.sequence(der.octet_string(bytes(16)), *map(der.integer, costs))
    derivation = der.sequence(der.object_identifier(function), parameters)
    cipher = der.sequence(
        der.object_identifier("2.16.840.1.101.3.4.1.42"), der.octet_string(bytes(16))
    )
    scheme = der.sequence(
        der.object_identifier("1.2.840.113549.1.5.13"), der.sequence(derivation, cipher)
    )
    text = base64.b64encode(der.sequence(scheme, der.octet_string(bytes(64))))
    name = b"ENCRYPTED PRIVATE KEY-----"
    return b"-----BEGIN " + name + b"\n" + text + b"\n-----END " + name + b"\n"


@pytest.mark.parametrize(
    "data",
    [
        with_costs(2**30, 8, 1), with_costs(2**14, 2**20, 1), with_costs(2**14, 8, 2**20),
        with_costs(2**31, function="1.2.840.113549.1.5.12"),
    ],
    ids=str.split("memory block passes rounds"),
)  # fmt: skip
def test_a_file_that_would_cost_gigabytes_or_hours_is_refused_unopened(data: bytes) -> None:
    asked: list[int] = []

    def ask() -> str:
        asked.append(1)
        return "x"

    with pytest.raises(InputError, match="would cost too much"):
        decode_private(data, Ed25519PrivateKey, valid="a key", asked=ask, where="key")
    assert not asked


def test_another_encryption_is_refused_and_says_so() -> None:
    old = b"-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END EC PRIVATE KEY"
    for data in (old, with_costs(1, function="1.2.3"), with_costs()[:-40]):
        with pytest.raises(InputError, match="in a way that is not supported"):
            decode(data)


@settings(max_examples=30)
@given(data=st.data())
def test_a_key_file_with_any_bytes_changed_is_refused_or_holds_the_same_key(
    encrypted: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(encrypted) - 1))
    cut = data.draw(st.integers(0, 3))
    changed = encrypted[:at] + data.draw(st.binary(max_size=3)) + encrypted[at + cut :]
    try:
        key = decode(changed)
    except InputError:
        return
    assert key.private_bytes_raw() == bytes(range(32))


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_break_the_reader(data: bytes, framed: bool) -> None:
    if framed:
        name = b"ENCRYPTED PRIVATE KEY-----"
        text = base64.b64encode(data)
        data = b"-----BEGIN " + name + b"\n" + text + b"\n-----END " + name + b"\n"
    with pytest.raises(InputError):
        decode(data)


def test_a_run_signs_with_the_passphrase_of_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "me.key"
    public = generate_key(file, passphrase="correct horse")
    loaded = signing_key_from(file, environ=SECRET)
    assert loaded is not None
    assert loaded.verifying_key == public
    text = signing_key_from(None, environ=SECRET | {"AUDITOR_KEY": file.read_text()})
    assert text is not None
    assert text.verifying_key.public == public.public
    with pytest.raises(InputError, match=f"is encrypted.*{PASSPHRASE_VARIABLE}"):
        SigningKey.load(file, environ={})
    with pytest.raises(InputError, match=r"AUDITOR_KEY: .*is encrypted"):
        signing_key_from(None, environ={"AUDITOR_KEY": file.read_text()})


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "no passphrase"), (b"\n", "no passphrase"), (b"a\nb\n", "no passphrase"),
        (b"\xff", "not UTF-8"), (b"a" * 1025, "no passphrase"), (None, "cannot be read"),
    ],
)  # fmt: skip
def test_a_passphrase_file_holds_one_line(
    tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=complaint):
        read_passphrase_file(file)


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_the_end_of_the_line_is_not_part_of_a_passphrase(tmp_path: Path, ending: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes(f" correct hörse {ending}".encode())
    with pytest.warns(UserWarning, match="the passphrase can be read by others"):
        assert read_passphrase_file(file) == " correct hörse "
