"""Statements: official libraries read them, strict readers take one spelling, lies are named."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import in_toto_attestation.v1.statement_pb2 as statement_pb2
import numpy as np
import pandas as pd
import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement as OfficialStatement
from safetensors.numpy import save_file
from securesystemslib.dsse import Envelope as OfficialEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from auditor import Audit
from auditor.errors import InputError
from auditor.evidence import canonical_json, sha256
from auditor.ledger import RunFolder, RunRecord, SigningKey, VerifyingKey
from auditor.ledger.statements import (
    Resource,
    Statement,
    check_statements,
    pre_authentication_encoding,
    read_envelope,
    read_statement,
    run_statements,
    sign_statement,
    statements_of,
    verify_envelope,
    verify_statement,
)
from auditor.ledger.statements.predicates import data_manifest
from auditor.ledger.statements.statement import digest_set
from auditor.verify import verify_run
from auditor.verify.redaction import redact_run

ROWS = "blake3:" + "1f" * 32
TABLES = {
    "train": {"name": "a.csv", "rows": 3, "digest": ROWS, "method": "blake3-of-sha256-rows"},
    "test": {"name": "b.csv", "rows": 2, "digest": "sha256:" + "2e" * 32},
}
CHECKPOINT = {"file": "m.safetensors", "format": "safetensors", "digest": "blake3:" + "3d" * 32}
BASE = {"name": "base", "digest": "sha256:" + "4c" * 32, "licence": "Apache-2.0"}
RUN = {
    "schema": "auditor/run/v1", "seed": 7, "started": "2026-11-01T12:00:00Z",
    "finished": "2026-11-01T12:30:00Z", "auditor": "0.2.0",
    "packages": {"auditor": "0.2.0", "scikit_learn": "1.7.0", "torch": "2.13.0+cpu"},
    "code": {"commit": "5b" * 20, "dirty": True, "changes": "sha256:" + "6a" * 32},
}  # fmt: skip

PACKAGES = {
    "schema": "auditor/packages/v1", "method": "sha256-of-sorted-record",
    "digest": "sha256:" + "9d" * 32,
    "packages": [
        {"name": "auditor", "version": "0.2.0", "digest": None, "editable": True},
        {"name": "scikit-learn", "version": "1.6.9", "digest": "sha256:" + "8c" * 32,
         "editable": False},
        {"name": "torch", "version": "2.13.0+cpu", "digest": "sha256:" + "7b" * 32,
         "editable": False},
    ],
}  # fmt: skip


def verdict_of(policy: dict[str, Any], *statuses: str, gate: str = "open") -> dict[str, Any]:
    order = ["error", "fail", "inconclusive", "not-evaluated", "pass", "waived"]
    return {
        "schema": "auditor/verdict/v1", "status": min(statuses, key=order.index), "gate": gate,
        "stage": "evaluation", "evaluated_at": "2026-11-01T12:20:00Z", "seed": 7,
        "policy": policy, "registered": True,
        "rules": [
            {"id": f"rule-{at}", "status": status, "reason": "…", "on_fail": "block",
             "closes_gate": status == "fail", "findings": [], "bounds": [], "cites": []}
            for at, status in enumerate(statuses)
        ],
    }  # fmt: skip


@pytest.fixture
def stated_run(
    open_run: Callable[..., Any], policy: tuple[Any, str], key: SigningKey
) -> Callable[..., Path]:
    """A sealed run with tables, a loop, a base model, a checkpoint, a verdict and statements."""

    def make(*, signed: bool = True, name: str = "stated", statuses: str = "pass waived") -> Path:
        used = key if signed else None
        run, writer = open_run(name, used)
        writer.append("data", {"tables": TABLES})
        writer.append("attach", {"model": "Sequential", "batch_size": 8})
        writer.append("base-model", BASE)
        writer.append("checkpoint", CHECKPOINT)
        writer.append("packages", {"evidence": run.put_evidence(PACKAGES)})
        run.write("run.json", canonical_json(RUN))
        verdict = verdict_of(policy[0].model_dump(), *statuses.split())
        run.write("verdict.json", canonical_json(verdict))
        for file, data in statements_of(RunRecord.load(run.path), used).items():
            run.write(file, data)
        run.seal(writer, used)
        return run.path

    return make


def read(path: Path, name: str) -> dict[str, Any]:
    data = json.loads((path / "statements" / f"{name}.dsse.json").read_bytes())
    document: dict[str, Any] = json.loads(base64.b64decode(data["payload"]))
    return document


def official_key(key: VerifyingKey) -> SSlibKey:
    value = {"public": key.public.hex()}
    return SSlibKey(key.fingerprint, "ed25519", "ed25519", value)


def test_the_encoding_that_is_signed_is_that_of_the_specification() -> None:
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


@given(st.text(max_size=20), st.binary(max_size=50))
def test_the_encoding_is_that_of_securesystemslib(kind: str, payload: bytes) -> None:
    expected = OfficialEnvelope(payload, kind, {}).pae()
    assert pre_authentication_encoding(kind, payload) == expected


def test_official_libraries_read_and_verify_every_statement(
    stated_run: Callable[..., Path], key: SigningKey
) -> None:
    folder = stated_run() / "statements"
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        f"{name}.dsse.json" for name in ("data-manifest", "test-result", "training-run", "verdict")
    ]
    for name in names:
        envelope = OfficialEnvelope.from_dict(json.loads((folder / name).read_bytes()))
        assert envelope.verify([official_key(key.verifying_key)], 1)
        parsed = json_format.Parse(envelope.payload, statement_pb2.Statement())
        OfficialStatement.copy_from_pb(parsed).validate()
        predicate = json.loads(envelope.payload)["predicate"]
        if name.startswith("training-run"):
            read = json_format.ParseDict(predicate, provenance_pb2.Provenance())
            for resource in read.build_definition.resolved_dependencies:
                ResourceDescriptor.copy_from_pb(resource).validate()
        if name.startswith("test-result"):
            json_format.ParseDict(predicate, test_result_pb2.TestResult())


def test_the_official_envelope_refuses_what_we_refuse(
    stated_run: Callable[..., Path], key: SigningKey, make_key: Callable[..., SigningKey]
) -> None:
    data = (stated_run() / "statements" / "verdict.dsse.json").read_bytes()
    other = make_key(bytes(32), "other").verifying_key
    changed = json.loads(data)
    payload = base64.b64decode(changed["payload"]).replace(b'"pass"', b'"fail"')
    changed["payload"] = base64.b64encode(payload).decode()
    for bytes_, trusted in ((data, other), (canonical_json(changed), key.verifying_key)):
        with pytest.raises(VerificationError):
            OfficialEnvelope.from_dict(json.loads(bytes_)).verify([official_key(trusted)], 1)
        with pytest.raises(InputError, match="not signed by|does not verify"):
            verify_envelope(bytes_, trusted)


def test_training_provenance_links_tables_base_model_code_and_checkpoint(
    stated_run: Callable[..., Path],
) -> None:
    path = stated_run()
    statement = read(path, "training-run")
    (subject,) = statement["subject"]
    assert subject["digest"] == {"blake3": "3d" * 32}
    definition = statement["predicate"]["buildDefinition"]
    given = definition["resolvedDependencies"]
    dependencies = {item.get("name", item.get("uri")): item for item in given}
    assert dependencies["train"]["digest"] == {"blake3-of-sha256-rows": "1f" * 32}
    assert dependencies["train"]["annotations"] == {"name": "a.csv", "rows": 3}
    assert "test" not in dependencies  # nobody may have trained on it
    assert dependencies["base-model"]["annotations"]["licence"] == "Apache-2.0"
    assert dependencies["code"]["digest"] == {"gitCommit": "5b" * 20}
    assert dependencies["code"]["annotations"]["dirty"] is True
    torch = dependencies["pkg:pypi/torch@2.13.0%2Bcpu"]
    assert torch["digest"] == {"sha256-of-sorted-record": "7b" * 32}
    assert "digest" not in dependencies["pkg:pypi/scikit_learn@1.7.0"]  # another version lay there
    assert dependencies["pkg:pypi/auditor@0.2.0"]["annotations"] == {"editable": True}
    assert dependencies["packages"]["digest"] == {"sha256": sha256(canonical_json(PACKAGES))[7:]}
    assert definition["externalParameters"]["seed"] == 7
    entry = RunRecord.load(path).ledger.entries[0]
    assert statement["predicate"]["runDetails"]["metadata"] == {
        "invocationId": entry.digest, "startedOn": RUN["started"], "finishedOn": RUN["finished"]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("statuses", "result", "summary"),
    [
        ("pass pass", "PASSED", "PASSED"),
        ("pass waived", "PASSED", "PASSED"),
        ("waived", "WARNED", "FAILED"),
        ("pass inconclusive", "WARNED", "FAILED"),
        ("pass not-evaluated", "WARNED", "FAILED"),
        ("pass fail", "FAILED", "FAILED"),
        ("pass error", "FAILED", "FAILED"),
    ],
)
def test_no_data_is_never_a_pass(
    stated_run: Callable[..., Path], statuses: str, result: str, summary: str
) -> None:
    path = stated_run(statuses=statuses)
    test, verdict = read(path, "test-result"), read(path, "verdict")
    assert test["predicate"]["result"] == result
    assert verdict["predicate"]["verificationResult"] == summary
    named = [test["predicate"][name] for name in ("passedTests", "warnedTests", "failedTests")]
    assert sum(map(len, named)) == len(statuses.split())
    assert len(named[0]) == statuses.split().count("pass")
    assert check_statements(path, RunRecord.load(path)) == ()


def test_what_cannot_be_said_is_not_stated() -> None:
    common: dict[str, Any] = {
        "run": "r", "registration": "sha256:" + "00" * 32, "seed": 0, "started": "", "finished": "",
        "key": None,
    }  # fmt: skip
    assert run_statements(**common, tables={}, trained=False) == {}
    assert list(run_statements(**common, tables=TABLES, trained=False)) == [
        "statements/data-manifest.intoto.json"
    ]
    with pytest.raises(InputError, match="there is no digest"):
        run_statements(**common, tables={"train": {"rows": 3}}, trained=False)


def test_a_statement_about_other_packages_is_named(
    stated_run: Callable[..., Path], key: SigningKey
) -> None:
    path = stated_run()
    file = path / "statements" / "training-run.dsse.json"
    given = read(path, "training-run")["predicate"]["buildDefinition"]["resolvedDependencies"]
    at = {item.get("name", item.get("uri")): place for place, item in enumerate(given)}
    torch, manifest = at["pkg:pypi/torch@2.13.0%2Bcpu"], at["packages"]
    for place, value in (
        (f"{torch}.digest", {"sha256-of-sorted-record": "00" * 32}),
        (f"{torch}.digest", {"sha256": "7b" * 32}),
        (f"{torch}.digest", {}),
        (f"{torch}.uri", "pkg:pypi/torch@2.13.1"),
        (f"{manifest}.digest.sha256", "00" * 32),
    ):
        document = read(path, "training-run")
        put(document, f"predicate.buildDefinition.resolvedDependencies.{place}", value)
        before = file.read_bytes()
        file.write_bytes(sign_statement(Statement.from_document(document), key))
        faults = check_statements(path, RunRecord.load(path))
        assert [f.what for f in faults if "training-run" in f.where] == [
            "the packages are not those of the record"
        ]
        file.write_bytes(before)
    assert check_statements(path, RunRecord.load(path)) == ()


def test_a_run_states_the_packages_that_it_recorded(tmp_path: Path) -> None:
    frame = pd.DataFrame({"sex": ["F", "M"] * 9, "y": [0, 1] * 9})
    model = tmp_path / "m.safetensors"
    save_file({"w": np.zeros(2, np.float32)}, model)
    with Audit(run=tmp_path / "run") as audit:
        audit.data(train=frame, target="y", sensitive="sex")
        audit.gate("data", checkpoint=model)
    record = RunRecord.load(tmp_path / "run")
    (entry,) = record.ledger.of_type("packages")
    recorded = {p["name"]: p for p in record.statistic_document(entry.body["evidence"])["packages"]}
    document = json.loads((tmp_path / "run/statements/training-run.intoto.json").read_bytes())
    given = document["predicate"]["buildDefinition"]["resolvedDependencies"]
    stated = {item["uri"]: item for item in given if item.get("uri", "").startswith("pkg:")}
    for name in ("duckdb", "numpy", "pyarrow"):
        resource = stated[f"pkg:pypi/{name}@{recorded[name]['version']}"]
        assert resource["digest"] == {"sha256-of-sorted-record": recorded[name]["digest"][7:]}
    assert verify_run(tmp_path / "run").exit_code == 3
    pattern = f"evidence/{entry.body['evidence'][7:]}.json"
    redact_run(tmp_path / "run", tmp_path / "copy", withhold=[pattern])
    assert verify_run(tmp_path / "copy").faults == ()


@pytest.mark.parametrize("signed", [True, False])
def test_the_statements_of_a_run_hold(stated_run: Callable[..., Path], signed: bool) -> None:
    path = stated_run(signed=signed)
    assert check_statements(path, RunRecord.load(path)) == ()
    ending = ".dsse.json" if signed else ".intoto.json"
    assert all(item.name.endswith(ending) for item in (path / "statements").iterdir())


def test_a_run_without_statements_has_no_fault(sealed_run: Callable[..., Path]) -> None:
    path = sealed_run()
    assert check_statements(path, RunRecord.load(path)) == ()


def test_the_manifest_of_a_hundred_thousand_files_can_be_read_again(key: SigningKey) -> None:
    files = [{"name": f"{at}.png", "digest": "blake3:" + "00" * 32} for at in range(100_000)]
    statement = data_manifest(
        run="r",
        registration="sha256:" + "00" * 32,
        tables={
            name: TABLES["test"] | {"files": listed}
            for name, listed in (("few", files[:2]), ("many", files))
        },
    )
    read = verify_statement(sign_statement(statement, key), key.verifying_key)
    assert read.predicate["tables"]["few"]["files"] == files[:2]
    assert read.predicate["tables"]["many"]["files"] == {"count": 100_000}


def put(document: dict[str, Any], place: str, value: Any) -> None:
    *path, last = place.split(".")
    holder: Any = document
    for part in path:
        holder = holder[int(part) if part.isdigit() else part]
    holder[int(last) if last.isdigit() else last] = value


LIES = {
    "test-result": [
        ("predicate.result", "WARNED", "result is not that of verdict.json"),
        ("predicate.passedTests", ["rule-0", "rule-1"], "passedTests"),
        ("predicate.configuration.1.digest.sha256", "00" * 32, "cites a digest"),
        ("subject.0.digest.blake3", "00" * 32, "subject is not what the ledger recorded"),
        ("predicateType", "https://slsa.dev/provenance/v1", "does not belong to this type"),
    ],
    "verdict": [
        ("predicate.status", "fail", "status is not that"),
        ("predicate.gate", "closed", "gate is not that"),
        ("predicate.verificationResult", "FAILED", "verificationResult is not that"),
        ("predicate.timeVerified", "2027-01-01T00:00:00Z", "timeVerified is not that"),
        ("predicate.policy.digest.sha256", "00" * 32, "cites a digest"),
        ("predicate.run.digest.sha256", "00" * 32, "belongs to another run"),
    ],
    "training-run": [
        ("predicate.buildDefinition.externalParameters.seed", 8, "seed is not that of the run"),
        ("predicate.runDetails.metadata.invocationId", "sha256:" + "00" * 32, "another run"),
        ("predicate.buildDefinition.resolvedDependencies", [], "dependencies are not those"),
        ("predicate.buildDefinition", 3, "dependencies are not those"),
    ],
    "data-manifest": [
        ("subject.0.digest.sha256", "00" * 32, "the tables are not those of the ledger"),
        ("subject.0.name", "train", "the tables are not those of the ledger"),
        ("predicate.run", [], "belongs to another run"),
    ],
}


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(
    ("name", "place", "value", "complaint"),
    [(name, *lie) for name, lies in LIES.items() for lie in lies],
)
def test_a_statement_that_says_something_else_is_named(
    stated_run: Callable[..., Path], key: SigningKey, signed: bool, name: str, place: str,
    value: Any, complaint: str,
) -> None:  # fmt: skip
    """Even where the signer itself signs the lie, and where nobody signs."""
    path = stated_run(signed=signed)
    file = path / "statements" / f"{name}{'.dsse.json' if signed else '.intoto.json'}"
    document = read(path, name) if signed else json.loads(file.read_bytes())
    put(document, place, value)
    statement = Statement.from_document(document)
    file.write_bytes(sign_statement(statement, key) if signed else statement.encode())
    faults = check_statements(path, RunRecord.load(path))
    assert [fault for fault in faults if complaint in fault.what]
    assert all(fault.where.startswith("statements/") for fault in faults)


def test_a_statement_of_another_run_of_the_same_signer_is_named(
    stated_run: Callable[..., Path],
) -> None:
    path, other = stated_run(), stated_run(name="other")
    for name in ("data-manifest", "training-run", "verdict"):
        shutil.copy(other / "statements" / f"{name}.dsse.json", path / "statements")
    wheres = {
        fault.where
        for fault in check_statements(path, RunRecord.load(path))
        if fault.what == "it belongs to another run"
    }
    assert len(wheres) == 3


def test_another_signer_a_stripped_and_a_cut_signature_are_named(
    stated_run: Callable[..., Path], make_key: Callable[..., SigningKey], key: SigningKey
) -> None:
    path = stated_run()
    file = path / "statements" / "verdict.dsse.json"
    statement = verify_statement(file.read_bytes(), key.verifying_key)
    record = RunRecord.load(path)
    file.write_bytes(sign_statement(statement, make_key(bytes(32), "other")))
    assert "is not signed by me" in check_statements(path, record)[0].what
    whole = json.loads(sign_statement(statement, key))
    whole["signatures"][0]["sig"] = base64.b64encode(bytes(63)).decode()
    file.write_bytes(canonical_json(whole))
    assert "does not verify" in check_statements(path, record)[0].what
    file.unlink()
    file.with_name("verdict.intoto.json").write_bytes(statement.encode())
    assert "the signature was stripped" in check_statements(path, record)[0].what
    unsigned = stated_run(signed=False, name="unsigned")
    (unsigned / "statements" / "verdict.dsse.json").write_bytes(sign_statement(statement, key))
    faults = check_statements(unsigned, RunRecord.load(unsigned))
    assert "entry 0 names no signer" in faults[0].what


SUBJECT = Resource(name="a", digest={"sha256": "00" * 32})
STATEMENT = Statement(
    subject=(SUBJECT,), predicate_type="https://example.com/p/v1", predicate={"a": 1}
)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("_type", "https://in-toto.io/Statement/v0.1"), ("subject", []), ("subject", {}),
        ("subject.0.digest", {}), ("subject.0.digest", {"sha256": "nothex"}),
        ("subject.0.digest", {"sha256": "00"}), ("subject.0.digest", {"sha256": "AB" * 32}),
        ("subject.0.digest", {"sha 256": "00" * 32}), ("subject.0.digest", "00" * 32),
        ("subject.0.colour", "red"), ("subject.0.name", 1), ("predicateType", ""),
        ("predicateType", "no uri"), ("predicate", {}), ("predicate", []), ("more", 1),
    ],
)  # fmt: skip
def test_what_is_no_statement_is_refused(place: str, value: Any) -> None:
    document = STATEMENT.to_json()
    put(document, place, value)
    with pytest.raises(InputError):
        read_statement(canonical_json(document))


def test_the_official_validator_accepts_digests_that_are_none() -> None:
    """Why there are checks of our own: this one passes there."""
    document = STATEMENT.to_json()
    put(document, "subject.0.digest", {"sha256": "nothex"})
    parsed = json_format.ParseDict(document, statement_pb2.Statement())
    OfficialStatement.copy_from_pb(parsed).validate()
    with pytest.raises(InputError, match="not a digest in lower-case hex"):
        Statement.from_document(document)


def test_one_envelope_has_one_spelling(key: SigningKey) -> None:
    data = sign_statement(STATEMENT, key)
    assert verify_statement(data, key.verifying_key) == STATEMENT
    text = data.decode()
    payload = json.loads(text)["payload"]
    mutants = [
        text + "\n", " " + text, text.replace(":", ": ", 1), text.replace("{", '{"a":1,', 1),
        text.replace("{", '{"payload":"QQ==",', 1), text.replace('"sig"', '"sig":"QQ==","sig"'),
        text.replace(payload, payload.rstrip("=") if "=" in payload else payload + "===="),
        text.replace("application/vnd.in-toto+json", "application/json"),
        text.replace('"keyid"', '"keyId"'), text.replace("signatures", "signature"),
        json.dumps({**json.loads(text), "signatures": []}), "[]", "", "null", "[" * 50_000,
        '{"a":' * 20_000, "1" * 10_000, " " * (16 * 2**20 + 1),
    ]  # fmt: skip
    for mutant in mutants:
        with pytest.raises(InputError):
            read_envelope(mutant.encode())


def test_signatures_by_others_are_ignored_and_one_wrong_one_by_this_key_refuses(
    key: SigningKey, make_key: Callable[..., SigningKey]
) -> None:
    other = make_key(bytes(32), "other")
    mine = read_envelope(sign_statement(STATEMENT, key))
    theirs = read_envelope(sign_statement(STATEMENT, other))
    both = mine.model_copy(update={"signatures": (*theirs.signatures, *mine.signatures)})
    for trusted in (key, other):
        assert verify_statement(both.encode(), trusted.verifying_key) == STATEMENT
    wrong = mine.signatures[0].model_copy(update={"signature": bytes(64)})
    spoiled = mine.model_copy(update={"signatures": (*mine.signatures, wrong)})
    with pytest.raises(InputError, match="does not verify"):
        verify_envelope(spoiled.encode(), key.verifying_key)


@given(data=st.data())
def test_an_envelope_with_any_byte_changed_is_refused(key: SigningKey, data: st.DataObject) -> None:
    envelope = sign_statement(STATEMENT, key)
    at = data.draw(st.integers(0, len(envelope) - 1))
    cut = data.draw(st.integers(0, 3))
    changed = envelope[:at] + data.draw(st.binary(max_size=3)) + envelope[at + cut :]
    if changed != envelope:
        with pytest.raises(InputError):
            verify_statement(changed, key.verifying_key)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_readers(data: bytes) -> None:
    for reader in (read_envelope, read_statement):
        with pytest.raises(InputError):
            reader(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(
    predicate=st.dictionaries(
        st.sampled_from(
            ["run", "runDetails", "buildDefinition", "status", "digest", "passedTests"]
        ),
        JSON,
        min_size=1,
    ),
    name=st.sampled_from(["verdict", "training-run", "test-result", "data-manifest"]),
)
def test_no_unsigned_predicate_breaks_the_check(
    unsigned_run: Path, predicate: dict[str, Any], name: str
) -> None:  # fmt: skip
    file = unsigned_run / "statements" / f"{name}.intoto.json"
    before = file.read_bytes()
    statement = read_statement(before).model_copy(update={"predicate": predicate})
    try:
        file.write_bytes(statement.encode())
        assert check_statements(unsigned_run, RunRecord.load(unsigned_run))
    finally:
        file.write_bytes(before)


@pytest.fixture(scope="module")
def unsigned_run(tmp_path_factory: pytest.TempPathFactory, policy: tuple[Any, str]) -> Path:
    run = RunFolder.create(tmp_path_factory.mktemp("unsigned") / "run")
    with run.writer() as writer:
        run.register(writer, signer=None, policy=policy[0], policy_text=policy[1])
        writer.append("data", {"tables": TABLES})
        writer.append("attach", {"model": "Sequential"})
        run.write("run.json", canonical_json(RUN))
        run.write("findings.json", b"{}")
        verdict = verdict_of(policy[0].model_dump(), "pass")
        run.write("verdict.json", canonical_json(verdict))
        for file, data in statements_of(RunRecord.load(run.path), None).items():
            run.write(file, data)
        run.seal(writer, None)
    return run.path


def test_a_digest_set_names_how_a_digest_was_computed() -> None:
    assert digest_set({"digest": sha256(b"")})["sha256"] == sha256(b"")[7:]
    assert digest_set({"digest": ROWS, "digests": ["sha256:00"], "method": "set"}) == {
        "set": "1f" * 32, "sha256": "00"
    }  # fmt: skip
    assert digest_set({"digests": {"sha256": "00"}}) == {"sha256": "00"}
