"""Committed records and steps are held against their files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditor.evidence import sha256
from auditor.ledger import Entry, Ledger, parse_ledger, tree_root
from auditor.ledger.commitments import RecordCommitments, commit_records
from auditor.ledger.record_key import RecordKey
from auditor.ledger.records_integrity import check_records
from auditor.ledger.steps import StepRecorder

Change = Callable[[list[Entry]], None]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ledger]:
    """A run of 5,000 records and two segments of steps; only what these entries need."""
    from auditor.ledger import RunFolder

    key = RecordKey(bytes(32))
    run = RunFolder.create(tmp_path_factory.mktemp("runs") / "run")
    with run.writer() as writer:
        run.register(writer, signer=None, **key.registration())
        committed = commit_records([str(n) for n in range(5_000)], key, split="train")
        run.write(committed.name, committed.data())
        writer.append("records", committed.body())
        recorder = StepRecorder(committed)
        for batch in ([0, 1, -1], range(40), []):
            recorder.add(list(batch))
            recorder.step()
            flushed = recorder.flush()
            assert flushed is not None
            for name, data in flushed.files.items():
                run.write(name, data)
            writer.append("steps", flushed.body)
        run.seal(writer, None)
    return run.path, parse_ledger((run.path / "ledger.jsonl").read_bytes())


def changed(ledger: Ledger, seq: int, **fields: Any) -> Ledger:
    entries = list(ledger.entries)
    body = entries[seq].body | fields
    entries[seq] = entries[seq].model_copy(update={"body": body})
    return ledger_of(entries)


def ledger_of(entries: Sequence[Entry]) -> Ledger:
    return Ledger(tuple(entries), tuple(entry.line for entry in entries))


def test_what_was_recorded_has_no_fault(recorded: tuple[Path, Ledger]) -> None:
    assert check_records(*recorded) == []


@pytest.mark.parametrize(
    ("seq", "field", "value"),
    [
        (1, "count", 4_999),
        (1, "root", "sha256:" + "0" * 64),
        (1, "digest", "sha256:" + "0" * 64),
        (1, "method", "plain"),
        (1, "file", "run.json"),
        (1, "file", None),
        (1, "split", "../x"),
        (2, "count", 2),
        (2, "last", 7),
        (2, "first", 0),
        (2, "records", 2),
        (2, "unknown", 0),
        (2, "root", "sha256:" + "0" * 64),
        (2, "method", "plain"),
        (2, "split", "test"),
        (3, "first", 1),
        (3, "first", "2"),
        (0, "records_key_root", None),
    ],
)
def test_an_entry_that_says_something_else_is_found(
    recorded: tuple[Path, Ledger], seq: int, field: str, value: object
) -> None:
    run, ledger = recorded
    assert check_records(run, changed(ledger, seq, **{field: value}))


def rewritten(
    recorded: tuple[Path, Ledger], tmp_path: Path, leaves: np.ndarray
) -> tuple[Path, Ledger]:
    """The same run over other leaves, with digest, count and root that fit them."""
    _, ledger = recorded
    (tmp_path / "evidence").mkdir(parents=True)
    data = leaves.tobytes()
    (tmp_path / "evidence/records-train.bin").write_bytes(data)
    root = tree_root([bytes(leaf) for leaf in leaves]).hex()
    fields = {"digest": sha256(data), "root": f"sha256:{root}", "count": len(leaves)}
    only = ledger_of(changed(ledger, 1, **fields).entries[:2])
    return tmp_path, only


@pytest.mark.parametrize("at", [1, 4_095, 4_096, 4_097, 4_999])
@pytest.mark.parametrize("how", ["swapped", "repeated"])
def test_leaves_out_of_order_are_found_even_where_everything_else_fits(
    recorded: tuple[Path, Ledger], tmp_path: Path, at: int, how: str
) -> None:
    data = (recorded[0] / "evidence/records-train.bin").read_bytes()
    leaves = np.frombuffer(data, np.uint8).reshape(-1, 32).copy()
    if how == "swapped":
        leaves[[at - 1, at]] = leaves[[at, at - 1]]
    else:
        leaves[at] = leaves[at - 1]
    faults = check_records(*rewritten(recorded, tmp_path, leaves))
    assert [fault.what for fault in faults] == [f"commitment {at} is not above the one before it"]
    assert faults[0].where == "evidence/records-train.bin"


def test_leaves_in_order_that_fit_have_no_fault(
    recorded: tuple[Path, Ledger], tmp_path: Path
) -> None:
    data = (recorded[0] / "evidence/records-train.bin").read_bytes()
    leaves = np.frombuffer(data, np.uint8).reshape(-1, 32)[:4_097]
    assert check_records(*rewritten(recorded, tmp_path, leaves)) == []
    assert check_records(*rewritten(recorded, tmp_path / "none", leaves[:0])) == []


def test_a_file_that_no_entry_names_is_found(recorded: tuple[Path, Ledger], tmp_path: Path) -> None:
    run, ledger = recorded
    without = ledger_of(ledger.entries[:1])
    assert {fault.where for fault in check_records(run, without)} == {
        "evidence/records-train.bin",
        "evidence/steps-train-000000001.bin",
        "evidence/steps-train-000000002.bin",
        "evidence/steps-train-000000003.bin",
    }


def test_records_committed_to_twice_are_found(recorded: tuple[Path, Ledger]) -> None:
    run, ledger = recorded
    twice = ledger_of([*ledger.entries[:2], *ledger.entries[1:]])
    assert ["committed to before" in fault.what for fault in check_records(run, twice)] == [True]


def test_any_change_to_a_file_of_steps_is_refused_or_another_root(
    recorded: tuple[Path, Ledger],
) -> None:
    from auditor.errors import InputError
    from auditor.ledger.step_segment import StepSegment
    from auditor.ledger.tree import fold_hashes

    run, ledger = recorded
    entry = ledger.entries[3]
    data = (run / entry.body["file"]).read_bytes()
    leaves = np.frombuffer((run / "evidence/records-train.bin").read_bytes(), np.uint8)
    leaves = leaves.reshape(-1, 32)

    def root(changed: bytes) -> str | None:
        try:
            segment = StepSegment.read(changed, records=len(leaves), where="steps")
        except InputError:
            return None
        return f"sha256:{fold_hashes(segment.hashes(leaves)).hex()}"

    assert root(data) == entry.body["root"]
    assert StepSegment.read(data, records=len(leaves), where="steps").data() == data
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert root(bytes(flipped)) != entry.body["root"], bit
    for length in range(len(data)):
        assert root(data[:length]) is None


def test_commitments_have_no_memory_of_the_order_of_the_rows() -> None:
    key = RecordKey(bytes(32))
    one: RecordCommitments = commit_records(["a", "b", "c"], key, split="train")
    two = commit_records(["c", "a", "b"], key, split="train")
    assert one.data() == two.data()
    assert one.places.tolist() != two.places.tolist()
