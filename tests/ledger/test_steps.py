"""Steps are recorded as they were taken, whatever the batches and sync points."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.ledger import leaf_hash, tree_root
from auditor.ledger.commitments import RecordCommitments, commit_records
from auditor.ledger.record_key import RecordKey
from auditor.ledger.step_segment import StepSegment
from auditor.ledger.steps import StepRecorder

ROWS = 50

steps_of_batches = st.lists(
    st.lists(st.lists(st.integers(-1, ROWS - 1), max_size=40), max_size=3), max_size=6
)


@pytest.fixture(scope="module")
def records() -> RecordCommitments:
    return commit_records([str(n) for n in range(ROWS)], RecordKey(bytes(32)), split="train")


def taken(
    records: RecordCommitments, steps: list[list[list[int]]], syncs: set[int]
) -> list[tuple[dict[str, object], StepSegment]]:
    recorder = StepRecorder(records)
    found = []
    for number, batches in enumerate(steps, 1):
        for batch in batches:
            recorder.add(batch)
        recorder.step()
        if number in syncs or number == len(steps):
            flushed = recorder.flush()
            assert flushed is not None
            body = flushed.body
            data = flushed.files[str(body["file"])]
            found.append((body, StepSegment.read(data, records=ROWS, where="steps")))
            assert recorder.pending == 0
    return found


@given(steps_of_batches, st.sets(st.integers(1, 6)))
def test_what_was_consumed_is_read_back_step_by_step(
    records: RecordCommitments, steps: list[list[list[int]]], syncs: set[int]
) -> None:
    rows = np.argsort(records.places)  # from a place in the sorted commitments to the row
    read: list[list[int]] = []
    for body, segment in taken(records, steps, syncs):
        assert body["first"] == len(read) + 1
        for index in range(len(segment)):
            part = segment.positions[int(segment.offsets[index]) : int(segment.offsets[index + 1])]
            read.append([-1 if p == 2**32 - 1 else int(rows[p]) for p in part])
        assert body["last"] == len(read)
    assert read == [[row for batch in step for row in batch] for step in steps]


@given(steps_of_batches.filter(len))
def test_the_root_is_that_of_the_definition(
    records: RecordCommitments, steps: list[list[list[int]]]
) -> None:
    ((body, _),) = taken(records, steps, set())
    leaves = []
    for number, step in enumerate(steps, 1):
        held = [
            bytes(records.leaves[records.places[row]]) if row >= 0 else bytes(32)
            for batch in step for row in batch
        ]  # fmt: skip
        chunks = [b"".join(held[at : at + 32]) for at in range(0, len(held), 32)]
        root = tree_root(chunks)
        leaves.append(number.to_bytes(8, "big") + len(held).to_bytes(8, "big") + root)
    assert body["root"] == f"sha256:{tree_root(leaves).hex()}"
    assert body["unknown"] == sum(row < 0 for step in steps for batch in step for row in batch)


@given(steps_of_batches, st.integers(0, ROWS - 1))
def test_the_steps_of_a_record_are_those_that_drew_it(
    records: RecordCommitments, steps: list[list[list[int]]], row: int
) -> None:
    found = [
        (segment.first + index, place)
        for _, segment in taken(records, steps, {2, 4})
        for index, place in segment.steps_of(int(records.places[row]))
    ]
    drawn = [[r for batch in step for r in batch] for step in steps]
    assert found == [(n, step.index(row)) for n, step in enumerate(drawn, 1) if row in step]


def test_a_step_by_hand() -> None:
    records = commit_records(["a"], RecordKey(bytes(32)), split="train")
    recorder = StepRecorder(records, first=9)
    recorder.add([0])
    recorder.add([0])  # a second batch: gradients are accumulated
    recorder.step()
    recorder.add([0])  # a step that has not ended
    flushed = recorder.flush()
    assert flushed is not None
    body, ((name, data),) = flushed.body, flushed.files.items()
    leaf = bytes(records.leaves[0])
    chunk = leaf_hash(leaf + leaf)
    expected = leaf_hash((9).to_bytes(8, "big") + (2).to_bytes(8, "big") + chunk)
    assert body == {
        "split": "train", "first": 9, "last": 9, "count": 1, "records": 2, "unknown": 0,
        "root": f"sha256:{expected.hex()}", "method": "rfc6962-chunks-32",
        "file": "evidence/steps-train-000000009.bin",
        "digest": f"sha256:{sha256(data).hexdigest()}",
    }  # fmt: skip
    assert name == body["file"]
    assert recorder.pending == 1
    assert recorder.flush() is None
    recorder.step()
    later = recorder.flush()
    assert later is not None
    assert (later.body["first"], later.body["records"]) == (10, 1)


def test_nothing_recorded_is_nothing_to_write(records: RecordCommitments) -> None:
    assert StepRecorder(records).flush() is None


def test_a_row_beyond_the_table_is_refused(records: RecordCommitments) -> None:
    with pytest.raises(InputError, match="row 50 is beyond the table of train="):
        StepRecorder(records).add([ROWS])


def test_the_recorder_keeps_no_reference_to_the_loop_s_array(records: RecordCommitments) -> None:
    rows, recorder = np.array([3, 4]), StepRecorder(records)
    recorder.add(rows)
    rows[:] = 0
    recorder.step()
    flushed = recorder.flush()
    assert flushed is not None
    segment = StepSegment.read(next(iter(flushed.files.values())), records=ROWS, where="steps")
    assert segment.positions.tolist() == records.places[[3, 4]].tolist()
