"""The bytes of a model signature: no others are taken for one, whoever signed them."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import model_signing
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.evidence import canonical_json
from auditor.ledger.encoding import encode_base64
from auditor.ledger.model_bundle import read_model_signature
from auditor.ledger.model_key import ModelKey, ModelVerifyingKey
from auditor.ledger.model_signing import sign_model, verify_model
from auditor.ledger.statements.dsse import PAYLOAD_TYPE, pre_authentication_encoding

SPECIMEN_KEY = ModelKey.make()


def with_resources(key: ModelKey, resources: list[dict[str, Any]], root: str) -> bytes:
    """A signature that verifies, of a statement that nobody should believe."""
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": root}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
            "resources": resources,
        },
    }
    payload = canonical_json(statement)
    signature = key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
    return canonical_json(
        {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "publicKey": {"hint": key.verifying_key.hint},
                "tlogEntries": [],
            },
            "dsseEnvelope": {
                "payload": encode_base64(payload),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"sig": encode_base64(signature), "keyid": ""}],
            },
        }
    )


def test_a_file_listed_twice_is_refused_where_the_stock_takes_the_last(tmp_path: Path) -> None:
    model, key = tmp_path / "model", ModelKey.make()
    model.mkdir()
    (model / "a").write_bytes(b"a")
    right, wrong = hashlib.sha256(b"a").digest(), hashlib.sha256(b"b").digest()
    resources = [
        {"name": "a", "algorithm": "sha256", "digest": digest.hex()} for digest in (wrong, right)
    ]
    root = hashlib.sha256(wrong + right).hexdigest()
    signature = with_resources(key, resources, root)
    (tmp_path / "sig").write_bytes(signature)
    (tmp_path / "pub").write_bytes(key.verifying_key.pem)
    model_signing.verifying.Config().use_elliptic_key_verifier(public_key=tmp_path / "pub").verify(
        model, tmp_path / "sig"
    )
    with pytest.raises(InputError, match="'a' is listed twice"):
        verify_model(model, signature, key.verifying_key)
    with pytest.raises(InputError, match="lists no file"):
        read_model_signature(with_resources(key, [], hashlib.sha256(b"").hexdigest()))
    with pytest.raises(InputError, match="do not add up"):
        read_model_signature(with_resources(key, resources[:1], root))


@pytest.fixture(scope="module")
def specimen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, ModelVerifyingKey]:
    model = tmp_path_factory.mktemp("specimen") / "model"
    model.mkdir()
    for name in ("a", "b"):
        (model / name).write_bytes(name.encode())
    return model, sign_model(model, SPECIMEN_KEY), SPECIMEN_KEY.verifying_key


@given(data=st.data())
def test_a_signature_with_any_bytes_changed_is_refused_or_says_the_same(
    specimen: tuple[Path, bytes, ModelVerifyingKey], data: st.DataObject
) -> None:
    model, signature, key = specimen
    at = data.draw(st.integers(0, len(signature)))
    cut = data.draw(st.integers(0, 3))
    changed = signature[:at] + data.draw(st.binary(max_size=3)) + signature[at + cut :]
    try:
        result = verify_model(model, changed, key)
    except InputError:
        return
    before, after = read_model_signature(signature), read_model_signature(changed)
    assert not result.intact or (before.digests, before.signed) == (after.digests, after.signed)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(data=st.data())
def test_no_document_breaks_the_reader(data: st.DataObject) -> None:
    bundle: Any = json.loads(sign_specimen())
    envelope = bundle["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        keys = value.keys() if isinstance(value, dict) else range(len(value))
        for key in list(keys):
            places.append((value, key))
            if isinstance(value[key], (dict, list)):
                walk(value[key])

    walk(bundle)
    walk(statement)
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(JSON)
    if isinstance(bundle.get("dsseEnvelope"), dict) and "payload" in envelope:
        envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    try:
        read = read_model_signature(json.dumps(bundle).encode())
    except InputError:
        return
    assert read.digests == {"a": bytes(32)}


def sign_specimen() -> bytes:
    resources = [{"name": "a", "algorithm": "sha256", "digest": "00" * 32}]
    return with_resources(SPECIMEN_KEY, resources, hashlib.sha256(bytes(32)).hexdigest())


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    with pytest.raises(InputError):
        read_model_signature(data)


def test_deep_and_large_signatures_are_refused_at_once() -> None:
    for data in (b"[" * 100_000, b" " * (16 * 2**20 + 1), b'{"a":' * 5_000, b"9" * 10_000):
        with pytest.raises(InputError):
            read_model_signature(data)
