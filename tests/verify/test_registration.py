"""Entry 0 comes first: a verdict that stands on anything else fails verification."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor import Audit
from auditor.errors import RunError
from auditor.evidence import PolicyReference, canonical_json, sha256
from auditor.ledger import RunFolder, RunRecord
from auditor.ledger.chain import parse_time
from auditor.verify import Verification, verify_run
from auditor.verify.registration import registered_seed, registered_split

Change = Callable[[dict[str, Any]], object]

SPLIT = {"split": "predictions", "digest": "blake3:" + "a" * 64, "rows": 400}
DATA = {"predictions": SPLIT["digest"]}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("registration") / "run"
    rng = np.random.default_rng(0)
    sex = rng.choice(["F", "M"], 400)
    frame = pd.DataFrame(
        {"sex": sex, "p": (rng.random(400) < 0.4 + 0.2 * (sex == "M")).astype(int),
         "y": rng.integers(0, 2, 400)}
    )  # fmt: skip
    with Audit(policy="four-fifths-screen", run=folder, seed=3) as audit:
        audit.data(test=frame[["sex", "y"]], target="y", sensitive="sex")
        audit.evaluate(predictions=frame, prediction="p")
        audit.gate()
    return folder


@pytest.fixture
def written(run: Path, tmp_path: Path) -> Callable[..., Verification]:
    """Write the run anew with changes in entry 0, in entries, in the verdict; and verify it."""

    def write(
        *,
        register: Change = dict,
        entries: dict[str, Change] | None = None,
        verdict: Change | None = None,
        before_seal: Callable[[Callable[[str, dict[str, Any]], object]], object] = id,
    ) -> Verification:
        record = RunRecord.load(run)
        moments = [parse_time(entry.time) for entry in record.ledger.entries]
        moments += moments[-1:] * 3
        times = iter(moments)
        copy = RunFolder.create(tmp_path / "run")
        with copy.writer(clock=lambda: next(times) or pytest.fail("no time")) as writer:
            body = json.loads(json.dumps(record.ledger.entries[0].body))
            policy = PolicyReference(**body.pop("policy"))
            for name in ("run", "signer", "evaluation"):
                body.pop(name, None)
            register(body)
            copy.register(
                writer, signer=None, policy=policy, policy_text=record.policy_text, **body
            )
            for path in sorted(run.rglob("*.json")):
                name = path.relative_to(run).as_posix()
                if not name.startswith("statements/") and name != "salts.json":
                    copy.write(name, path.read_bytes())
            digest = None
            if verdict is not None:
                document = json.loads((run / "verdict.json").read_bytes())
                verdict(document)
                copy.write("verdict.json", canonical_json(document))
                digest = sha256(canonical_json(document))
            for entry in record.ledger.entries[1:-1]:
                if entry.type == "openings":
                    continue
                changed = json.loads(json.dumps(entry.body))
                if entry.type == "gate" and digest:
                    changed["verdict"] = digest
                changed.pop("data", None)
                (entries or {}).get(entry.type, dict)(changed)
                writer.append(entry.type, changed)
            before_seal(writer.append)
            copy.seal(writer, None)
        return verify_run(copy.path)

    return write


def told(result: Verification) -> list[tuple[str, str]]:
    return [(fault.where, fault.what) for fault in result.faults]


def names_data(body: dict[str, Any]) -> None:
    if body["stage"] == "evaluation":
        body["data"] = dict(DATA)


def entries_of(run: Path, stage: str) -> list[int]:
    return [
        entry.seq
        for entry in RunRecord.load(run).ledger.of_type("measurement")
        if entry.body["stage"] == stage and "reason" not in entry.body
    ]


def test_what_an_audit_registers_and_measures_agrees(run: Path) -> None:
    assert verify_run(run).faults == ()


def test_an_old_run_that_registered_no_split_verifies_as_before(
    written: Callable[..., Verification],
) -> None:
    assert told(written()) == []


def test_a_verdict_on_the_registered_split_verifies(written: Callable[..., Verification]) -> None:
    result = written(
        register=lambda body: body.update(evaluation=SPLIT), entries={"measurement": names_data}
    )
    assert told(result) == []


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (None, "names no data"),
        ({}, "names no data"),
        ("x", "names no data"),
        ({"test": SPLIT["digest"]}, "names no data"),
        ({"predictions": "blake3:" + "b" * 64}, f"measures blake3:{'b' * 64}"),
    ],
)
def test_a_cited_measurement_of_other_data_is_named(
    run: Path, written: Callable[..., Verification], data: Any, what: str
) -> None:
    def change(body: dict[str, Any]) -> None:
        if data is not None:
            body["data"] = data

    result = written(
        register=lambda body: body.update(evaluation=SPLIT), entries={"measurement": change}
    )
    assert result.exit_code == 1
    places = [where for where, _ in told(result)]
    assert places
    assert set(places) <= {f"ledger.jsonl, entry {seq}" for seq in entries_of(run, "evaluation")}
    assert all(what in said and SPLIT["digest"] in said for _, said in told(result))


def test_what_no_rule_cites_may_measure_other_data(
    written: Callable[..., Verification],
) -> None:
    """The data stage is about the training data."""

    def change(body: dict[str, Any]) -> None:
        cited = body["check"]["id"] == "bias.group-metrics" or body["stage"] == "evaluation"
        body["data"] = dict(DATA) if cited else {"train": "blake3:" + "c" * 64}

    result = written(
        register=lambda body: body.update(evaluation=SPLIT), entries={"measurement": change}
    )
    assert told(result) == []


@pytest.mark.parametrize(
    "evaluation", ["test", {}, {"split": "test"}, {"split": "test", "digest": "blake3:00"}, 7]
)
def test_a_split_without_a_digest_is_a_fault_of_entry_0(
    written: Callable[..., Verification], evaluation: Any
) -> None:
    result = written(register=lambda body: body.update(evaluation=evaluation))
    assert told(result) == [
        ("ledger.jsonl, entry 0", "the evaluation split is registered without name or digest")
    ]


@pytest.mark.parametrize("seed", ["3", 3.5, None, True, [3]])
def test_a_seed_that_is_no_number_is_a_fault_of_entry_0(
    written: Callable[..., Verification], seed: Any
) -> None:
    result = written(register=lambda body: body.update(seed=seed))
    assert ("ledger.jsonl, entry 0", f"the seed {str(seed)!r} is not a whole number") in told(
        result
    )


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        (lambda d: d.update(seed=4), "verdict.json", "it cites seed 4, entry 0 registered 3"),
        (lambda d: d["policy"].update(digest="sha256:" + "0" * 64), "verdict.json",
         "it cites another policy than entry 0 registered"),
        (lambda d: d["policy"].update(version="9.9.9"), "verdict.json",
         "it cites another policy than entry 0 registered"),
        (lambda d: d.update(stage="monitoring"), "ledger.jsonl, entry ",
         "stage 'pre-deployment', and the verdict says 'monitoring'"),
        (lambda d: d.update(gate="open", status="pass"), "ledger.jsonl, entry ",
         "status 'fail', and the verdict says 'pass'"),
        (lambda d: d.update(registered=False), "verdict.json", "registered: recorded False"),
    ],
)  # fmt: skip
def test_a_verdict_that_cites_something_else_is_named(
    written: Callable[..., Verification], change: Change, where: str, what: str
) -> None:
    result = written(verdict=change)
    assert result.exit_code == 1
    assert any(place.startswith(where) and what in said for place, said in told(result)), told(
        result
    )


def test_another_seed_in_entry_0_is_another_verdict(written: Callable[..., Verification]) -> None:
    result = written(register=lambda body: body.update(seed=4))
    assert ("verdict.json", "it cites seed 3, entry 0 registered 4") in told(result)


def test_a_check_that_was_not_registered_is_named(
    run: Path, written: Callable[..., Verification]
) -> None:
    def change(body: dict[str, Any]) -> None:
        if body["stage"] == "evaluation":
            body["check"]["fields"] = {"confidence": 0.5}

    (where, what), *_ = told(written(entries={"measurement": change}))
    assert where == f"ledger.jsonl, entry {entries_of(run, 'evaluation')[0]}"
    assert "is not registered in entry 0" in what


def test_a_second_registration_does_not_count(
    run: Path, written: Callable[..., Verification]
) -> None:
    size = len(RunRecord.load(run).ledger.entries) - 1  # without the openings
    result = written(before_seal=lambda append: append("register", {"seed": 4}))
    assert told(result) == [
        (f"ledger.jsonl, entry {size - 1}", "a second registration; the first one counts")
    ]


def test_what_a_rule_cites_is_not_measured_again_after_the_gate(
    run: Path, written: Callable[..., Verification]
) -> None:
    record = RunRecord.load(run)
    assert record.verdict is not None
    cited = {record.findings[n].check for rule in record.verdict.rules for n in rule.findings}
    entries = [record.ledger.entries[seq] for seq in entries_of(run, "evaluation")]
    (body, *_) = [entry.body for entry in entries if entry.body["check"]["id"] in cited]
    result = written(before_seal=lambda append: append("measurement", body))
    size = len(record.ledger.entries) - 1  # without the openings
    what = f"{body['check']['id']} was measured after the last gate"
    assert (f"ledger.jsonl, entry {size - 1}", what) in told(result)


def test_what_entry_0_registers_can_be_read(run: Path) -> None:
    record = RunRecord.load(run)
    assert registered_seed(record) == 3
    record.ledger.entries[0].body["evaluation"] = SPLIT
    split = registered_split(record)
    assert split is not None
    assert (split.name, split.digest) == (SPLIT["split"], SPLIT["digest"])
    record.ledger.entries[0].body["evaluation"] = []
    with pytest.raises(RunError, match="without name or digest"):
        registered_split(record)
