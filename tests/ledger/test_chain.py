"""The chain of entries: what is read is exactly what was written, or a fault says where not."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.evidence import canonical_json, sha256
from auditor.ledger import Entry, LedgerFault, examine_ledger, parse_ledger, tree_root
from auditor.ledger.chain import GENESIS, format_time, parse_time

LINE_0 = (
    b'{"body":{"n":1},"prev":"sha256:' + b"0" * 64 + b'","seq":0,'
    b'"time":"2026-11-01T12:00:00Z","type":"first"}'
)


def chain(*bodies: Any) -> bytes:
    """Write a correct ledger, one entry a second."""
    prev, lines = GENESIS, b""
    for seq, body in enumerate(bodies):
        moment = datetime(2026, 11, 1, 12, tzinfo=UTC) + timedelta(seconds=seq)
        entry = Entry(seq=seq, prev=prev, time=format_time(moment), type="thing", body=body)
        prev = entry.digest
        lines += entry.line + b"\n"
    return lines


def entry_line(**changes: Any) -> bytes:
    """Write entry 0 with some fields changed."""
    fields = {"seq": 0, "prev": GENESIS, "time": "2026-11-01T12:00:00Z", "type": "x", "body": {}}
    return canonical_json(fields | changes) + b"\n"


def test_a_line_by_hand() -> None:
    ledger = parse_ledger(LINE_0 + b"\n")
    (entry,) = ledger.entries
    assert entry == Entry(
        seq=0, prev=GENESIS, time="2026-11-01T12:00:00Z", type="first", body={"n": 1}
    )
    assert entry.line == ledger.lines[0] == LINE_0
    assert entry.digest == f"sha256:{hashlib.sha256(LINE_0).hexdigest()}"
    assert ledger.root() == hashlib.sha256(b"\x00" + LINE_0).digest()
    assert ledger.registration is None
    assert ledger.seal is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)  # fmt: skip


@given(st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=3), min_size=1, max_size=6))
def test_whatever_is_written_reads_back(bodies: list[dict[str, Any]]) -> None:
    data = chain(*bodies)
    ledger, faults = examine_ledger(data)
    assert not faults
    assert [entry.body for entry in ledger.entries] == bodies
    assert b"".join(entry.line + b"\n" for entry in ledger.entries) == data
    assert ledger.root() == tree_root(data.split(b"\n")[:-1])


@given(st.integers(2, 8), st.data())
def test_no_line_can_be_taken_out_put_in_or_moved(size: int, data: st.DataObject) -> None:
    lines = chain(*({"n": n} for n in range(size))).splitlines(keepends=True)
    at = data.draw(st.integers(0, size - 1))
    to = data.draw(st.integers(0, size - 1).filter(lambda other: other != at))
    cut = lines[:at] + lines[at + 1 :]
    doubled = lines[: to + 1] + lines[at : at + 1] + lines[to + 1 :]
    swapped = list(lines)
    swapped[at], swapped[to] = swapped[to], swapped[at]
    for altered in (doubled, swapped, *([cut] if at < size - 1 else [])):
        with pytest.raises(LedgerFault):
            parse_ledger(b"".join(altered))


def test_a_last_entry_cut_off_is_the_business_of_the_head() -> None:
    lines = chain({}, {}, {}).splitlines(keepends=True)
    shorter = parse_ledger(b"".join(lines[:2]))
    assert shorter.root() != parse_ledger(b"".join(lines)).root()


def test_a_torn_end_is_set_aside_and_kept() -> None:
    data = chain({"n": 0}, {"n": 1})
    first = data.index(b"\n") + 1
    for end in range(first + 1, len(data)):
        ledger = parse_ledger(data[:end])
        assert len(ledger.entries) == 1
        assert ledger.torn == data[first:end]
    assert parse_ledger(data).torn == b""


@pytest.mark.parametrize(
    ("data", "seq", "complaint"),
    [
        (b"", 0, "the ledger is empty"),
        (b"torn", 0, "the ledger is empty"),
        (b"\n", 0, "not JSON"),
        (b"no\n", 0, "not JSON"),
        (b"\xff\xfe\n", 0, "not JSON"),
        (b"[" * 100_000 + b"\n", 0, "nested too deeply"),
        (b"[" * 600 + b"]" * 600 + b"\n", 0, "nested too deeply|expected a mapping"),
        (b"7\n", 0, "expected a mapping"),
        (b'{"seq": 0}\n', 0, "canonical"),
        (LINE_0.replace(b'"n":1', b'"n":1.0') + b"\n", 0, "canonical"),
        (LINE_0.replace(b'"n":1', b'"n":1,"n":1') + b"\n", 0, "canonical"),
        (LINE_0.replace(b'"n":1', b'"n":NaN') + b"\n", 0, "canonical"),
        (LINE_0.replace(b'"n":1', b'"n":9007199254740993') + b"\n", 0, "canonical"),
        (LINE_0.replace(b'"n":1', b'"n":"\\u0041"') + b"\n", 0, "canonical"),
        (LINE_0 + b"\r\n", 0, "canonical"),
        (b"\xef\xbb\xbf" + LINE_0 + b"\n", 0, "canonical|not JSON"),
        (entry_line(seq=1), 0, "says that it is number 1"),
        (entry_line(seq=True), 0, "seq: expected a whole number, found"),
        (entry_line(seq="0"), 0, "seq: expected a whole number, found"),
        (entry_line(body=[]), 0, "body"),
        (entry_line(more=1), 0, "more"),
        (entry_line(prev=sha256(b"")), 0, "does not follow"),
        (entry_line(time="2026-11-01T12:00:00+00:00"), 0, "not in UTC as"),
        (entry_line(time="2026-11-01T12:00:00"), 0, "not in UTC as"),
        (entry_line(time="2026-11-01T12:00:00.5Z"), 0, "not in UTC as"),
        (entry_line(time="2026-11-01T12:00:00.000000Z"), 0, "not in UTC as"),
        (entry_line(time="2026-11-01"), 0, "not in UTC as"),
        (entry_line(time="2026-02-30T12:00:00Z"), 0, "not in UTC as"),
        (entry_line(time="0001-01-01T00:00:00+23:59"), 0, "not in UTC as"),
        (entry_line(time=""), 0, "not in UTC as"),
        (LINE_0 + b"\n" + LINE_0 + b"\n", 1, "says that it is number 0"),
    ],
)
def test_every_fault_says_which_entry(data: bytes, seq: int, complaint: str) -> None:
    with pytest.raises(LedgerFault, match=complaint) as caught:
        parse_ledger(data, where="runs/x/ledger.jsonl")
    assert caught.value.seq == seq
    assert f"runs/x/ledger.jsonl, entry {seq}: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_depth_of_nesting_breaks_the_reader() -> None:
    """The parser and the writer of canonical JSON give up at different depths."""
    for depth in range(500, 1100, 3):
        with pytest.raises(LedgerFault, match=r"nested too deeply|expected a mapping"):
            parse_ledger(b"[" * depth + b"]" * depth + b"\n")


def test_time_does_not_go_back() -> None:
    first = Entry(seq=0, prev=GENESIS, time="2026-11-01T12:00:00.500000Z", type="x", body={})
    for time, fine in [
        ("2026-11-01T12:00:00.500000Z", True),
        ("2026-11-01T12:00:01Z", True),
        ("2026-11-01T12:00:00Z", False),
        ("2025-12-31T23:59:59.999999Z", False),
    ]:
        second = Entry(seq=1, prev=first.digest, time=time, type="x", body={})
        _, faults = examine_ledger(first.line + b"\n" + second.line + b"\n")
        assert not faults if fine else "lies before" in faults[0].what


def test_all_faults_are_listed_and_later_entries_still_read() -> None:
    lines = chain({"n": 0}, {"n": 1}, {"n": 2}, {"n": 3}).splitlines(keepends=True)
    lines[1] = b"garbage\n"
    ledger, faults = examine_ledger(b"".join(lines))
    assert [fault.seq for fault in faults] == [1, 2]
    assert [entry.seq for entry in ledger.entries] == [0, 2, 3]
    assert len(ledger.lines) == 4


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_moment_reads_back(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment


def test_moments_are_written_in_utc() -> None:
    moment = datetime(2026, 11, 1, 13, 0, 0, tzinfo=timezone(timedelta(hours=1)))
    assert format_time(moment) == "2026-11-01T12:00:00Z"
    with pytest.raises(ValueError, match="time zone"):
        format_time(datetime(2026, 11, 1, 13))
