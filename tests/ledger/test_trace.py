"""The chain over steps: what each computed, and the checkpoints between them."""

from __future__ import annotations

import math
import struct
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.evidence import sha256 as digest_of
from auditor.ledger import Entry, Ledger, RunFolder, leaf_hash, parse_ledger
from auditor.ledger.commitments import RecordCommitments, commit_records
from auditor.ledger.record_key import RecordKey
from auditor.ledger.records_integrity import check_records
from auditor.ledger.step_segment import StepSegment
from auditor.ledger.steps import StepRecorder, last_step
from auditor.ledger.trace import Trace, chain_start
from auditor.verify import verify_run
from auditor.verify.standalone.command import main as standalone

ROWS = 50
START = bytes(range(32))
A, B, C = (sha256(name).digest() for name in (b"a", b"b", b"c"))

digests = st.sampled_from([b"", A, B])
steps_taken = st.lists(
    st.tuples(
        st.lists(st.integers(-2, ROWS - 1), max_size=40), st.floats(), digests, digests,
        st.lists(st.sampled_from([A, C]), max_size=2),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


@pytest.fixture(scope="module")
def records() -> RecordCommitments:
    return commit_records([str(n) for n in range(ROWS)], RecordKey(bytes(32)), split="train")


def take(recorder: StepRecorder, step: Any) -> None:
    rows, loss, random, content, checkpoints = step
    recorder.record(rows, loss=loss, random_state=random, content=content)
    for digest in checkpoints:
        recorder.checkpoint(digest)


def test_two_steps_and_a_checkpoint_by_hand(records: RecordCommitments) -> None:
    recorder = StepRecorder(records, chain=START)
    recorder.record([3], loss=0.5, random_state=A)
    recorder.checkpoint(C)
    recorder.record([-1], content=B)
    flushed = recorder.flush()
    assert flushed is not None
    known = bytes(records.leaves[records.places[3]])
    one = leaf_hash((1).to_bytes(8, "big") + (1).to_bytes(8, "big") + leaf_hash(known))
    two = leaf_hash((2).to_bytes(8, "big") + (1).to_bytes(8, "big") + leaf_hash(bytes(32)))
    link = b"auditor/step-link/v1\n"
    h1 = sha256(link + START + one + struct.pack("<d", 0.5) + A + bytes(32)).digest()
    h = sha256(b"auditor/checkpoint-link/v1\n" + h1 + C).digest()
    h2 = sha256(link + h + two + struct.pack("<d", math.nan) + bytes(32) + B).digest()
    body, name = flushed.body, "evidence/trace-train-000000001.bin"
    assert body["chain_before"] == f"sha256:{START.hex()}"
    assert body["chain"] == f"sha256:{h2.hex()}"
    assert recorder.chain == h2
    assert (body["trace"], body["checkpoints"]) == (name, 1)
    data = flushed.files[name]
    assert body["trace_digest"] == digest_of(data)
    assert data == b"".join((
        b"auditor/trace/1\n", struct.pack("<5Q", 1, 2, 2, 2, 1), struct.pack("<2d", 0.5, math.nan),
        h1[:8], h2[:8], A, bytes(32), bytes(32), B, struct.pack("<Q", 1), C,
    ))  # fmt: skip


@given(steps_taken, st.sets(st.integers(1, 6)))
def test_the_chain_is_the_same_whatever_the_sync_points(
    records: RecordCommitments, steps: list[Any], syncs: set[int]
) -> None:
    whole, parts = StepRecorder(records, chain=START), StepRecorder(records, chain=START)
    before = f"sha256:{START.hex()}"
    for number, step in enumerate(steps, 1):
        take(whole, step)
        take(parts, step)
        if number in syncs or number == len(steps):
            flushed = parts.flush()
            assert flushed is not None
            assert flushed.body["chain_before"] == before
            before = flushed.body["chain"]
    last = whole.flush()
    assert last is not None
    assert last.body["chain"] == before
    trace = Trace.read(last.files[last.body["trace"]], where="trace")
    assert trace.data() == last.files[last.body["trace"]]
    assert trace.losses.tobytes() == np.array([step[1] for step in steps], "<f8").tobytes()
    assert [digest for _, digest in trace.checkpoints] == [d for step in steps for d in step[4]]


@given(steps_taken, st.integers(0, 6))
def test_a_recorder_that_goes_on_from_a_state_gives_the_same(
    records: RecordCommitments, steps: list[Any], at: int
) -> None:
    whole, first = StepRecorder(records, chain=START), StepRecorder(records, chain=START)
    for step in steps:
        take(whole, step)
    for step in steps[:at]:
        take(first, step)
    state = first.state_dict()
    assert last_step(state) == min(at, len(steps)) == first.last
    second = StepRecorder(records, chain=bytes(32))
    second.record([1])  # what is there is replaced
    second.load_state_dict(state)
    for step in steps[at:]:
        take(second, step)
    flushed, expected = second.flush(), whole.flush()
    assert flushed == expected


def test_a_state_that_is_none_or_of_other_records_is_refused(records: RecordCommitments) -> None:
    recorder = StepRecorder(records, chain=START)
    recorder.record([0, 1, 2], random_state=A)
    state = recorder.state_dict()
    other = StepRecorder(commit_records(["a"], RecordKey(bytes(32)), split="train"), chain=START)
    with pytest.raises(InputError, match="not that of steps over these records"):
        other.load_state_dict(state)
    for name, value in (("sizes", [2]), ("positions", "%"), ("random", ["zz"]), ("losses", "")):
        with pytest.raises(InputError, match="state"):
            StepRecorder(records).load_state_dict(state | {name: value})
    with pytest.raises(InputError, match="not the state of recorded steps"):
        StepRecorder(records).load_state_dict({})


def test_what_cannot_be_written_stays_for_the_next_time(records: RecordCommitments) -> None:
    recorder = StepRecorder(records, chain=START)
    recorder.record([7], loss=1.0)
    expected = recorder.state_dict()

    def full(_: object) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        recorder.flush(full)
    assert recorder.state_dict() == expected
    written: list[object] = []
    assert recorder.flush(written.append) == written[0]
    assert recorder.pending == 0


def test_a_checkpoint_after_the_last_step_is_a_segment_of_its_own(
    records: RecordCommitments,
) -> None:
    recorder = StepRecorder(records, chain=START)
    recorder.record([0])
    recorder.flush()
    recorder.checkpoint(A)
    alone = recorder.flush()
    assert alone is not None
    assert (alone.body["first"], alone.body["count"], alone.body["checkpoints"]) == (2, 0, 1)
    recorder.record([1])
    later = recorder.flush()
    assert later is not None
    assert list(later.files) == [
        "evidence/steps-train-000000002-2.bin", "evidence/trace-train-000000002-2.bin",
    ]  # fmt: skip
    assert recorder.flush() is None


def test_digests_have_32_bytes(records: RecordCommitments) -> None:
    recorder = StepRecorder(records, chain=START)
    for call in (
        lambda: recorder.record([0], random_state=b"short"),
        lambda: recorder.record([0], content=bytes(33)),
        lambda: recorder.checkpoint(b""),
    ):
        with pytest.raises(InputError, match="a digest of"):
            call()
    assert recorder.flush() is None


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two segments of three steps, and a checkpoint alone."""
    key = RecordKey(bytes(32))
    run = RunFolder.create(tmp_path_factory.mktemp("runs") / "run")
    with run.writer() as writer:
        first = run.register(writer, signer=None, **key.registration())
        committed = commit_records([str(n) for n in range(9)], key, split="train")
        run.write(committed.name, committed.data())
        writer.append("records", committed.body())
        recorder = StepRecorder(committed, chain=chain_start(first.digest))
        for segment in ([[0, 1], [2], [3]], [[4], [5, 6], [0]], []):
            for rows in segment:
                recorder.record(rows, loss=float(sum(rows)), random_state=A, content=B)
            recorder.checkpoint(C)
            flushed = recorder.flush()
            assert flushed is not None
            for name, data in flushed.files.items():
                run.write(name, data)
            writer.append("steps", flushed.body)
        run.seal(writer, None)
    return run.path


def copied(run: Path, target: Path) -> Path:
    for file in run.rglob("*"):
        if file.is_file():
            (target / file.relative_to(run)).parent.mkdir(parents=True, exist_ok=True)
            (target / file.relative_to(run)).write_bytes(file.read_bytes())
    return target


def faults_of(run: Path, entries: list[Entry] | None = None) -> str:
    ledger = parse_ledger((run / "ledger.jsonl").read_bytes())
    if entries is not None:
        ledger = Ledger(tuple(entries), tuple(entry.line for entry in entries))
    return "; ".join(f"{fault.where}: {fault.what}" for fault in check_records(run, ledger))


def test_a_traced_run_has_no_fault(traced: Path) -> None:
    assert faults_of(traced) == ""
    assert standalone([str(traced)]) == 3


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_changed_loss_names_its_step(traced: Path, tmp_path: Path, index: int) -> None:
    run = copied(traced, tmp_path / "run")
    file = run / "evidence/trace-train-000000004.bin"
    data = bytearray(file.read_bytes())
    data[56 + 8 * index : 64 + 8 * index] = struct.pack("<d", 0.25)
    file.write_bytes(data)
    assert f"the chain breaks at step {4 + index}" in faults_of(run)
    assert f"the chain breaks at step {4 + index}" in str(verify_run(run).faults)
    assert standalone([str(run)]) == 1


def test_other_records_of_a_step_name_it(traced: Path, tmp_path: Path) -> None:
    run = copied(traced, tmp_path / "run")
    file = run / "evidence/steps-train-000000004.bin"
    segment = StepSegment.read(file.read_bytes(), records=9, where="steps")
    positions = segment.positions.copy()
    positions[2] = (positions[2] + 1) % 9  # the second record of step 5
    file.write_bytes(StepSegment(4, segment.offsets, positions).data())
    assert "step 5 consumed other records" in faults_of(run)


@pytest.mark.parametrize(
    ("seq", "field", "value", "said"),
    [
        (3, "chain_before", f"sha256:{'0' * 64}", "the chain breaks before step 4"),
        (3, "chain", f"sha256:{'0' * 64}", "the chain after step 6 is another"),
        (2, "chain", "none", "no digest of the chain"),
        (3, "chain_method", "plain", "chain_method is 'plain'"),
        (3, "checkpoints", 0, "checkpoints is 0"),
        (3, "trace", "evidence/trace-train-000000001.bin", "trace is"),
        (3, "trace_digest", None, "not the one that the ledger binds"),
        (0, "seed", 7, "the chain breaks before step 1"),
    ],
)
def test_an_entry_that_says_another_chain_is_found(
    traced: Path, seq: int, field: str, value: object, said: str
) -> None:
    entries = list(parse_ledger((traced / "ledger.jsonl").read_bytes()).entries)
    entries[seq] = entries[seq].model_copy(update={"body": entries[seq].body | {field: value}})
    assert said in faults_of(traced, entries)


def test_a_trace_that_was_left_out_is_found(traced: Path) -> None:
    entries = list(parse_ledger((traced / "ledger.jsonl").read_bytes()).entries)
    kept = {k: v for k, v in entries[3].body.items() if "chain" not in k and "trace" not in k}
    del kept["checkpoints"]
    entries[3] = entries[3].model_copy(update={"body": kept})
    assert "steps without a trace follow some with one" in faults_of(traced, entries)
    assert "no entry of the ledger speaks of this file" in faults_of(traced, entries)


def test_any_cut_or_other_order_of_a_trace_is_refused(traced: Path) -> None:
    data = (traced / "evidence/trace-train-000000004.bin").read_bytes()
    assert Trace.read(data, where="trace").data() == data
    for length in range(len(data)):
        with pytest.raises(InputError):
            Trace.read(data[:length], where="trace")
    for at, value in ((len(data) - 40, 9), (32, 2), (40, 1)):
        bad = data[:at] + value.to_bytes(8, "little") + data[at + 8 :]
        with pytest.raises(InputError):
            Trace.read(bad, where="trace")
    zeros = data[: 56 + 48] + bytes(96) + data[56 + 48 + 96 :]
    with pytest.raises(InputError, match="digests that are none"):
        Trace.read(zeros, where="trace")
