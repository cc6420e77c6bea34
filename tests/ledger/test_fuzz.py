"""Parsers in the hands of a fuzzer: a clear error or a value, soon, and in bounded memory."""

from __future__ import annotations

import json
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.errors import AuditorError, InputError, RunError
from auditor.evidence import (
    Finding,
    Slice,
    Stage,
    Verdict,
    canonical_json,
    findings_document,
    read_findings,
    read_verdict,
)
from auditor.ledger import (
    LedgerWriter,
    RunFolder,
    RunRecord,
    SigningKey,
    VerifyingKey,
    check_integrity,
    examine_ledger,
    format_head,
    parse_head,
    parse_ledger,
    read_ledger,
)
from auditor.ledger import chain as chain_module
from auditor.ledger.encoding import decode_base64, read_canonical, read_json
from auditor.ledger.note import Head
from auditor.stats import Attribute, Groups, confusion_counts, read_statistic, score_counts

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)

# What has broken readers of JSON elsewhere.
NASTY = [
    b"", b"\0", b"\xff", b"\xef\xbb\xbf{}", b"{", b"[", b'"', b"-", b"nul", b"NaN", b"Infinity",
    b"-Infinity", b"1e999999", b"-1e999999", b"1e-999999", b"0" * 50, b"9" * 1_000_000,
    b"1." + b"0" * 1_000_000, b"1e" + b"9" * 100_000, b"[" * 1_000_000, b'{"a":' * 1_000_000,
    b"[" * 3_000 + b"]" * 3_000, b'{"a":' * 900 + b"1" + b"}" * 900, b'"\\ud800"', b'"\\u0000"',
    b'{"a":1,"a":2}', b'"' + b"x" * 1_000_000 + b'"', b'{"seq":1e400}', b"{}" * 1000,
    b'{"seq":' + b"9" * 5_000 + b"}", b"\x00" * 100_000, b"\n" * 5_000, b'{"__proto__":1}',
]  # fmt: skip


def complaint(parse: Callable[[], object]) -> list[str]:
    """Whatever comes is a value or an error of this package; return what fits on no line."""
    try:
        parse()
    except AuditorError as error:
        text = str(error)
        return [text] if "\n" in text or len(text) >= 5_000 else []
    return []


def read_bytes(data: bytes) -> list[str]:
    """Give the bytes to everything that reads bytes; return what is complained of otherwise."""
    text = data.decode(errors="replace")
    found = [
        *complaint(lambda: examine_ledger(data)),
        *complaint(lambda: parse_ledger(data + b"\n")),
        *complaint(lambda: parse_head(data)),
        *complaint(lambda: VerifyingKey.parse(text)),
        *complaint(lambda: decode_base64(text, what="it")),
    ]
    for read in (read_json, read_canonical):
        try:
            document = read(data)
        except (ValueError, InputError):
            continue
        found += read_document(document)
    return found


def read_document(document: Any) -> list[str]:
    """Give the document to everything that reads documents, in the same way."""
    return [
        *complaint(lambda: read_statistic(document, where="it")),
        *complaint(lambda: read_findings(document, where="it")),
        *complaint(lambda: read_verdict(document, where="it")),
        *complaint(lambda: Finding.from_json(document)),
        *complaint(lambda: canonical_json(document)),
    ]


@pytest.mark.parametrize("data", NASTY, ids=range(len(NASTY)))
def test_what_has_broken_other_readers_is_refused_in_one_line(data: bytes) -> None:
    for whole in (
        data,
        b'{"body":' + data + b"}",
        b'{"schema":"auditor/findings/v1","findings":[' + data + b"]}",
        b'{"kind":"confusion","values":' + data + b"}",
    ):
        assert read_bytes(whole) == []


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    assert read_bytes(data) == []


@given(JSON)
def test_any_document_is_read_or_refused(document: Any) -> None:
    assert read_document(document) == []


def specimens() -> list[dict[str, Any]]:
    """One valid document of every kind."""
    groups = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
    codes = groups.encode({"sex": np.array(["F", "M"] * 8)})
    y, p = np.array([0, 1] * 8), np.array([0, 1, 1, 0] * 4)
    finding = Finding(
        check="bias.group-metrics", metric="accuracy", stage=Stage.EVALUATION,
        slice=Slice({"sex": "F"}), status="measured", value=0.5, low=0.25, high=0.75,
        confidence=0.95, n=12, method="wilson", evidence=("sha256:" + "0" * 64,),
    )  # fmt: skip
    bound = {"slice": {"sex": None}, "metric": "accuracy", "value": 0.5, "low": 0.1,
             "decision": "pass"}  # fmt: skip
    rule = {"id": "r", "status": "pass", "reason": "fine", "on_fail": "warn", "closes_gate": False,
            "findings": [0], "bounds": [bound], "cites": ["eu-ai-act:10"]}  # fmt: skip
    verdict = {"schema": "auditor/verdict/v1", "status": "pass", "gate": "open",
               "stage": "evaluation", "evaluated_at": "2026-11-01T12:00:00Z", "seed": 0,
               "policy": {"id": "x", "version": "1", "digest": "sha256:" + "0" * 64},
               "registered": True, "rules": [rule]}  # fmt: skip
    assert isinstance(read_verdict(verdict, where="it"), Verdict)
    return [
        confusion_counts(groups, codes, y, p).to_json(),
        score_counts(groups, codes, y, np.linspace(0, 1, 16)).to_json(),
        findings_document("x", [finding]),
        verdict,
    ]


WRONG: list[Any] = [
    None, True, -1, 2**70, 1e308, float("nan"), float("inf"), "", "x" * 1000, [], {}, [[]], [None],
    {"a": {}}, "sha256:", 0.5, -0.0, [1e400], ["\ud800"], 10**30,
]  # fmt: skip


def mutated(document: Any, generator: random.Random) -> Any:
    """The document with one thing in it changed, dropped, doubled or replaced."""
    document = json.loads(json.dumps(document))
    place: Any = document
    while True:
        inner = list(place) if isinstance(place, dict) else range(len(place))
        if not inner:
            return document
        key = generator.choice(list(inner))
        if isinstance(place[key], (dict, list)) and place[key] and generator.random() < 0.7:
            place = place[key]
            continue
        act = generator.randrange(4)
        if act == 0:
            del place[key]
        elif act == 1 and isinstance(place, list):
            place.append(place[key])
        elif act == 2 and isinstance(place, dict):
            place[f"{key}x"] = place[key]
        else:
            place[key] = generator.choice(WRONG)
        return document


def complaints_of_mutants(rounds: int) -> list[str]:
    found: list[str] = []
    generator = random.Random(0)
    for document in specimens():
        found += read_document(document)
        data = canonical_json(document)
        for _ in range(rounds):
            found += read_document(mutated(document, generator))
            changed = bytearray(data)
            for _ in range(generator.randrange(1, 4)):
                changed[generator.randrange(len(changed))] = generator.randrange(256)
            found += read_bytes(bytes(changed))
    return found


def test_a_valid_document_with_something_wrong_in_it_is_read_or_refused() -> None:
    assert complaints_of_mutants(100) == []


@pytest.mark.slow
def test_many_valid_documents_with_something_wrong_in_them_are_read_or_refused() -> None:
    assert complaints_of_mutants(5_000) == []


@given(st.data())
@settings(max_examples=100)
def test_a_head_with_something_wrong_in_it_is_another_head_or_refused(
    key: SigningKey, data: st.DataObject
) -> None:
    head = Head(origin="auditor/run/x", size=7, root=bytes(32))
    note = format_head(head, key)
    at = data.draw(st.integers(0, len(note) - 1))
    changed = note[:at] + data.draw(st.binary(max_size=3)) + note[at + 1 :]
    try:
        found, signatures = parse_head(changed)
    except InputError:
        return
    assert (found.text + b"\n" + b"".join(s.line for s in signatures)) == changed


# Bounds on what is held in memory.


def test_of_a_ledger_that_is_all_faults_some_are_listed_and_the_rest_is_counted(
    tmp_path: Path,
) -> None:
    file = tmp_path / "ledger.jsonl"
    file.write_bytes(b"\n" * 10_000)
    for small in (10**9, 0):
        _, faults = read_ledger(file, small=small)
        assert len(faults) == 1_001
        assert "more faults before it" in faults[-1].what


def test_a_line_without_an_end_is_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from auditor.ledger import stored

    run = RunFolder.create(tmp_path / "run")
    with run.writer() as writer:
        run.register(writer, signer=None)
    monkeypatch.setattr(chain_module, "LONGEST_LINE", 100_000)
    monkeypatch.setattr(stored, "LONGEST_LINE", 100_000)
    ledger = run.path / "ledger.jsonl"
    with ledger.open("ab") as file:
        file.truncate(200 * 2**20)  # zeros, and no newline
    tracemalloc.start()
    try:
        found = check_integrity(run.path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "ledger.jsonl, entry 1" in {fault.where for fault in found.faults}
    assert peak < 10 * 2**20
    with pytest.raises(RunError, match="longer than 100,000 bytes; nothing after it was read"):
        RunRecord.load(run.path)


def test_an_entry_that_no_reader_would_take_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from auditor.ledger import writer as writer_module

    monkeypatch.setattr(writer_module, "LONGEST_LINE", 1_000)
    with LedgerWriter(tmp_path) as writer:
        writer.append("small", {})
        with pytest.raises(InputError, match="at most 1,000; the rest as evidence"):
            writer.append("large", {"text": "x" * 1_000})
        assert writer.append("small", {}).seq == 1


def test_a_document_without_measure_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder.create(tmp_path / "run")
    with run.writer() as writer:
        run.register(writer, signer=None)
        run.write("run.json", b"{}")
        run.seal(writer, None)
    with (run.path / "run.json").open("ab") as file:
        file.truncate(300 * 2**20)
    tracemalloc.start()
    try:
        with pytest.raises(RunError, match=r"run.json: the file cannot be read: Larger than 268"):
            _ = RunRecord.load(run.path).run
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 600 * 2**20
