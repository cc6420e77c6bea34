"""Model signatures: the stock verifies ours, we verify its, and both refuse what was changed."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import model_signing
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.ledger.model_files import Serialization, hash_pieces, pieces_of
from auditor.ledger.model_key import ModelKey, ModelVerifyingKey, generate_model_key
from auditor.ledger.model_signing import (
    ModelVerification,
    sign_model,
    verify_model,
    verify_model_signature,
    write_model_signature,
)


class Signed:
    """A model, its keys, and a signature, as our library and the stock see them."""

    def __init__(self, folder: Path) -> None:
        self.model, self.signature = folder / "model", folder / "model.sig"
        self.private, self.public = folder / "me.p256", folder / "me.p256.pub"
        (self.model / "layers").mkdir(parents=True)
        (self.model / "weights.bin").write_bytes(bytes(range(256)) * 40)
        (self.model / "layers" / "0.bin").write_bytes(b"first layer")
        (self.model / "layers" / "1.bin").write_bytes(b"second layer")
        (self.model / "layers.json").write_text("{}")
        (self.model / "empty").touch()
        generate_model_key(folder / "me")
        self.key = ModelKey.load(self.private)

    def sign(self, **options: Any) -> None:
        self.signature.write_bytes(sign_model(self.model, self.key, **options))

    def stock_signs(self, hashing: model_signing.hashing.Config | None = None) -> None:
        config = model_signing.signing.Config().use_elliptic_key_signer(private_key=self.private)
        if hashing is not None:
            config = config.set_hashing_config(hashing)
        config.sign(self.model, self.signature)

    def verify(self) -> ModelVerification:
        return verify_model_signature(self.signature, self.model, self.public)

    def stock_accepts(self, public: Path | None = None) -> bool:
        config = model_signing.verifying.Config().use_elliptic_key_verifier(
            public_key=public or self.public
        )
        try:
            config.verify(self.model, self.signature)
        except Exception:  # noqa: BLE001 -- the stock raises anything at all
            return False
        return True


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    return Signed(tmp_path)


def stock(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "model_signing", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_stock_command_line_verifies_ours_and_refuses_a_changed_byte(
    signed: Signed, tmp_path: Path
) -> None:
    signed.sign()
    command = ["verify", "key", signed.model, "--public_key", signed.public, "--signature",
               signed.signature]  # fmt: skip
    done = stock(*command, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "Verification succeeded\n"), done.stderr
    (signed.model / "weights.bin").write_bytes(b"other")
    done = stock(*command, cwd=tmp_path)
    assert done.returncode == 1
    assert "Hash mismatch" in done.stderr
    assert "weights.bin" in done.stderr


def test_we_verify_what_the_stock_command_line_signs(signed: Signed, tmp_path: Path) -> None:
    signature = signed.model / "model.sig"  # inside the model, as its default is
    done = stock("sign", "key", signed.model, "--private_key", signed.private, "--signature",
                 signature, cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = verify_model_signature(signature, signed.model, signed.public)
    assert (result.faults, result.files, result.unbound) == ((), 5, ())


@pytest.mark.parametrize("inside", [True, False])
def test_one_file_and_a_signature_inside_the_folder_are_signed_alike(
    signed: Signed, inside: bool
) -> None:
    model = signed.model if inside else signed.model / "weights.bin"
    target = signed.model / "model.sig" if inside else None
    signed.signature = write_model_signature(model, signed.key, signature=target)
    signed.model = model
    assert signed.signature.name == ("model.sig" if inside else "weights.bin.sig")
    assert signed.verify().intact
    assert signed.stock_accepts()
    assert write_model_signature(model, signed.key, signature=target) == signed.signature
    assert signed.verify().intact
    model_file = model / "weights.bin" if inside else model
    model_file.write_bytes(b"other")
    assert not signed.verify().intact
    assert not signed.stock_accepts()


HASHINGS: dict[str, Callable[[Any], Any]] = {
    "sha256": lambda config: config.use_file_serialization(hashing_algorithm="sha256"),
    "blake2": lambda config: config.use_file_serialization(hashing_algorithm="blake2"),
    "blake3": lambda config: config.use_file_serialization(hashing_algorithm="blake3"),
    "shards": lambda config: config.use_shard_serialization(shard_size=1_000),
    "blake2-shards": lambda config: config.use_shard_serialization(
        shard_size=4_096, hashing_algorithm="blake2"
    ),
    "left-out": lambda config: config.set_ignored_paths(paths=["layers"]),
}


@pytest.mark.parametrize("name", HASHINGS)
def test_we_verify_every_way_in_which_the_stock_hashes(signed: Signed, name: str) -> None:
    signed.stock_signs(HASHINGS[name](model_signing.hashing.Config()))
    result = signed.verify()
    assert result.faults == ()
    bound = {"left-out": ("layers",), "shards": ("empty",), "blake2-shards": ("empty",)}
    assert result.unbound == bound.get(name, ())
    (signed.model / "weights.bin").write_bytes(bytes(range(256)) * 39 + bytes(256))
    (fault,) = signed.verify().faults
    assert fault.where == "weights.bin"


@pytest.mark.parametrize(
    "serialization",
    [
        Serialization(),
        Serialization(hash_type="blake3"),
        Serialization(method="shards", shard_size=1_000),
        Serialization(ignore_paths=("layers/0.bin",)),
        Serialization(allow_symlinks=True),
    ],
    ids=str.split("default blake3 shards left-out links"),
)
def test_the_stock_verifies_every_way_in_which_we_hash(
    signed: Signed, serialization: Serialization
) -> None:
    signed.sign(serialization=serialization)
    assert signed.stock_accepts()
    assert signed.verify().intact
    (signed.model / "layers" / "1.bin").write_bytes(b"SECOND layer")
    assert not signed.stock_accepts()
    assert not signed.verify().intact


def test_the_statement_is_the_one_that_the_stock_makes(signed: Signed) -> None:
    signed.sign()
    ours = json.loads(payload_of(signed.signature))
    signed.stock_signs()
    theirs = json.loads(payload_of(signed.signature))
    for statement in (ours, theirs):
        statement["predicate"]["serialization"]["ignore_paths"].sort()
    assert ours == theirs


def swap(model: Path) -> None:
    first, second = model / "layers" / "0.bin", model / "layers" / "1.bin"
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)


MUTANTS: dict[str, Callable[[Path], object]] = {
    "changed": lambda model: (model / "layers.json").write_text("[]"),
    "added": lambda model: (model / "more.bin").write_bytes(b"x"),
    "added-empty": lambda model: (model / "more.bin").touch(),
    "removed": lambda model: (model / "layers" / "1.bin").unlink(),
    "removed-empty": lambda model: (model / "empty").unlink(),
    "renamed": lambda model: (model / "layers.json").rename(model / "layer.json"),
    "moved": lambda model: (model / "layers.json").rename(model / "layers" / "layers.json"),
    "swapped": swap,
    "cut": lambda model: os.truncate(model / "weights.bin", 10_000),
    "longer": lambda model: (model / "weights.bin").write_bytes(bytes(range(256)) * 41),
    "linked": lambda model: (model / "link.bin").symlink_to("weights.bin"),
}


# An empty file has no shard, and is listed as unbound.
@pytest.mark.parametrize(
    ("method", "name"),
    [("files", name) for name in MUTANTS]
    + [("shards", name) for name in MUTANTS if not name.endswith("-empty")],
)
def test_both_refuse_a_model_that_was_changed(signed: Signed, method: str, name: str) -> None:
    shards = Serialization(method="shards", shard_size=1_000)
    signed.sign(serialization=Serialization() if method == "files" else shards)
    assert signed.verify().intact
    MUTANTS[name](signed.model)
    assert not signed.stock_accepts()
    assert not signed.verify().intact


def payload_of(signature: Path) -> bytes:
    bundle = json.loads(signature.read_bytes())
    return base64.b64decode(bundle["dsseEnvelope"]["payload"])


def change(bundle: dict[str, Any], name: str) -> None:
    envelope = bundle["dsseEnvelope"]
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    statement = json.loads(base64.b64decode(envelope["payload"]))
    resources = statement["predicate"]["resources"]
    if name == "cut":
        signature = signature[:-1]
    elif name == "bit":
        signature = signature[:20] + bytes([signature[20] ^ 1]) + signature[21:]
    elif name == "digest":
        resources[0]["digest"] = "00" * 32
    elif name == "name":
        resources[0]["name"] = "other"
    elif name == "dropped":
        resources.pop()
    elif name == "left-out":
        statement["predicate"]["serialization"]["ignore_paths"].append("weights.bin")
    elif name == "type":
        envelope["payloadType"] = "application/json"
    elif name == "predicate":
        statement["predicateType"] = "https://example.com/other"
    elif name == "unsigned":
        envelope["signatures"] = []
    envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    for item in envelope["signatures"]:
        item["sig"] = base64.b64encode(signature).decode()


@pytest.mark.parametrize(
    "name", str.split("cut bit digest name dropped left-out type predicate unsigned spaces")
)
def test_both_refuse_a_signature_that_was_changed(signed: Signed, name: str) -> None:
    signed.sign()
    bundle = json.loads(signed.signature.read_bytes())
    change(bundle, name)  # `spaces`: the same statement in other bytes
    signed.signature.write_text(json.dumps(bundle))
    assert not signed.stock_accepts()
    assert not signed.verify().intact


def test_both_refuse_another_key_even_without_the_hint(signed: Signed, tmp_path: Path) -> None:
    signed.sign()
    generate_model_key(tmp_path / "other")
    for keep in (True, False):
        bundle = json.loads(signed.signature.read_bytes())
        if not keep:
            del bundle["verificationMaterial"]["publicKey"]["hint"]
            signed.signature.write_text(json.dumps(bundle))
            assert signed.verify().intact
        assert not signed.stock_accepts(tmp_path / "other.p256.pub")
        other = verify_model_signature(signed.signature, signed.model, tmp_path / "other.p256.pub")
        assert [fault.what for fault in other.faults] == ["not signed by the key given"]


def test_a_linked_folder_is_a_fault_where_the_stock_does_not_look(
    signed: Signed, tmp_path: Path
) -> None:
    """The stock neither hashes the files behind a linked folder nor says that they are there."""
    signed.stock_signs(model_signing.hashing.Config().set_allow_symlinks(True))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "code.py").write_text("evil")
    (signed.model / "added").symlink_to(tmp_path / "elsewhere")
    hashing = model_signing.hashing.Config().set_allow_symlinks(True)
    hashed = [item.identifier for item in hashing.hash(signed.model).resource_descriptors()]
    assert not [name for name in hashed if name.startswith("added")]
    (fault,) = signed.verify().faults
    assert (fault.where, fault.what) == (
        "added", "is a link to a folder, whose files no signature binds"
    )  # fmt: skip
    with pytest.raises(InputError, match="added is a link to a folder"):
        signed.sign(serialization=Serialization(allow_symlinks=True))


def test_a_file_behind_a_link_is_bound_by_its_content(signed: Signed, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"weights")
    (signed.model / "linked.bin").symlink_to(tmp_path / "blob")
    with pytest.raises(InputError, match=r"linked\.bin is a symbolic link"):
        signed.sign()
    signed.stock_signs(model_signing.hashing.Config().set_allow_symlinks(True))
    assert signed.verify().intact
    (tmp_path / "blob").write_bytes(b"WEIGHTS")
    assert [fault.where for fault in signed.verify().faults] == ["linked.bin"]


@pytest.mark.parametrize("make", ["nothing", "empty-folder", "pipe", "left-out", "colon"])
def test_what_cannot_be_bound_is_not_signed(tmp_path: Path, make: str) -> None:
    model, key = tmp_path / "model", ModelKey.make()
    serialization = Serialization()
    if make != "nothing":
        model.mkdir()
    if make == "pipe":
        os.mkfifo(model / "pipe")
    if make == "left-out":
        (model / "a").write_bytes(b"a")
        serialization = Serialization(ignore_paths=("../a",))
    if make == "colon":
        (model / "a:b").write_bytes(b"a")
        serialization = Serialization(method="shards", shard_size=10)
    complaint = {
        "nothing": "cannot be read: No such file", "empty-folder": "nothing to sign",
        "pipe": "neither a file nor a folder", "left-out": "cannot be left out",
        "colon": "colon",
    }  # fmt: skip
    with pytest.raises(InputError, match=complaint[make]):
        sign_model(model, key, serialization=serialization)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_keys_on_the_three_curves_of_the_stock_verify(
    signed: Signed, curve: ec.EllipticCurve
) -> None:
    private = ec.generate_private_key(curve)
    signed.private.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    signed.public.write_bytes(
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    signed.stock_signs()
    assert signed.verify().intact
    signed.key = ModelKey.load(signed.private)
    signed.sign()
    assert signed.stock_accepts()


def test_a_key_on_another_curve_and_a_key_of_another_kind_are_refused(tmp_path: Path) -> None:
    public = ec.generate_private_key(ec.SECP256K1()).public_key()
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    file = tmp_path / "key.pub"
    for content, complaint in (
        (pem, "secp256k1 signs no models"),
        (b"", "not a public key in PEM form"),
        (b"-----BEGIN PRIVATE KEY-----", "this is a private key where a public one is meant"),
    ):
        file.write_bytes(content)
        with pytest.raises(InputError, match=complaint):
            ModelVerifyingKey.load(file)


def test_a_signature_that_claims_one_byte_shards_of_a_large_file_is_refused_without_listing_them(
    tmp_path: Path,
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    with (model / "sparse").open("wb") as file:
        file.truncate(2**40)  # a hole: a terabyte of nothing
    (model / "small").write_bytes(b"ab")
    key = ModelKey.make()
    signature = sign_model(
        model,
        key,
        serialization=Serialization(method="shards", shard_size=1, ignore_paths=("sparse",)),
    )
    assert verify_model(model, signature, key.verifying_key).unbound == ("sparse",)
    (model / "sparse").rename(model / "other")
    (fault,) = verify_model(model, signature, key.verifying_key).faults
    assert (fault.where, fault.what) == ("other", "the file was added after the signature")
    (model / "small").unlink()
    (model / "other").rename(model / "small")
    (fault,) = verify_model(model, signature, key.verifying_key).faults
    assert (fault.where, fault.what) == ("small", "the file was changed: it has another size")


@given(st.integers(0, 50), st.integers(1, 20))
def test_shards_cover_a_file_without_gap_or_overlap(size: int, step: int) -> None:
    serialization = Serialization(method="shards", shard_size=step)
    pieces = list(pieces_of("a", size, serialization))
    covered = [at for piece in pieces for at in range(piece.start, piece.end or 0)]
    assert covered == list(range(size))


@pytest.mark.parametrize("name", ["sha256", "blake2b", "blake3"])
def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path, name: str) -> None:
    from blake3 import blake3

    content = os.urandom(3 * 2**20 + 17)
    (tmp_path / "a").write_bytes(content)
    new: Any = blake3 if name == "blake3" else getattr(hashlib, name)
    (whole,) = pieces_of("a", len(content), Serialization())
    shards = list(pieces_of("a", len(content), Serialization(method="shards", shard_size=2**21)))
    found = hash_pieces(tmp_path, [whole, *shards], name)
    assert found["a"] == new(content).digest()
    assert found[f"a:{2**21}:{len(content)}"] == new(content[2**21 :]).digest()
