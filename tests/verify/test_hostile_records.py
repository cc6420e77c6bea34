"""Ledgers and proofs by somebody who writes consistent nonsense: refused, never a crash."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.evidence import canonical_json, sha256
from auditor.ledger import Entry, Head, format_head, parse_ledger, tree_root
from auditor.ledger.proofs import format_proof, make_proof
from auditor.ledger.record_key import RecordKey
from auditor.ledger.records_integrity import check_records
from auditor.verify.proof import verify_proof
from auditor.verify.standalone.command import main as standalone

RecordedRun = Callable[..., Path]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**53 - 1) | st.floats(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


def paths_in(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value of a document."""
    inner = (
        document.items() if isinstance(document, dict)
        else enumerate(document) if isinstance(document, list) else ()
    )  # fmt: skip
    return [path, *(found for at, value in inner for found in paths_in(value, (*path, at)))]


def spliced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The document with another value in one place."""
    if not path:
        return value
    changed = copy.deepcopy(document)
    inner = changed
    for at in path[:-1]:
        inner = inner[at]
    inner[path[-1]] = value
    return changed


def quietly(*arguments: object) -> int:
    with redirect_stderr(io.StringIO()):
        return standalone([str(argument) for argument in arguments])


@pytest.fixture(scope="session", params=[False, True], ids=["untraced", "traced"])
def unsigned_run(request: pytest.FixtureRequest, recorded_run: RecordedRun) -> Path:
    return recorded_run(
        ["a", "b", "c", "d"], steps=[[[0, 1], [1]], [[2]]], key=None, traced=request.param
    )


@settings(max_examples=150)
@given(st.data())
def test_consistent_nonsense_in_a_ledger_is_a_fault_for_both(
    unsigned_run: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    entries = [
        {"type": entry.type, "body": entry.body, "time": entry.time}
        for entry in parse_ledger((unsigned_run / "ledger.jsonl").read_bytes()).entries
    ]
    seq = data.draw(st.integers(0, len(entries) - 1))
    body = entries[seq]["body"]
    path = data.draw(st.sampled_from(paths_in(body)[1:]))
    entries[seq]["body"] = spliced(body, path, data.draw(JSON))
    folder = tmp_path_factory.mktemp("forged") / "small"
    lines, prev = [], "sha256:" + "0" * 64
    for number, fields in enumerate(entries):
        entry = Entry(seq=number, prev=prev, **fields)
        lines.append(entry.line)
        prev = entry.digest
    for file in unsigned_run.rglob("*"):
        if file.is_file():
            target = folder / file.relative_to(unsigned_run)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    (folder / "ledger.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    head = Head(origin="auditor/run/small", size=len(lines), root=tree_root(lines))
    (folder / "head").write_bytes(format_head(head, None))
    code = quietly(folder)
    faults = check_records(folder, parse_ledger((folder / "ledger.jsonl").read_bytes()))
    harmless = entries[0]["body"].keys() - {"run", "signer", "policy", "records_key_root"}
    traced = "trace" in entries[2]["body"]
    if seq == 0 and path[0] in harmless and not (traced and entries[0]["body"] != body):
        assert (code, faults) == (3, [])
    elif entries[seq]["body"] != body:
        assert code == 1, (seq, path)
        if entries[seq]["type"] in ("records", "steps"):
            assert faults


@settings(max_examples=300)
@given(st.data())
def test_nonsense_in_a_proof_is_a_fault_for_both(
    unsigned_run: Path,
    record_key: RecordKey,
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
) -> None:
    asked = data.draw(st.sampled_from(["b", "none"]))
    document = json.loads(format_proof(make_proof(unsigned_run, asked, key=record_key)))
    path = data.draw(st.sampled_from(paths_in(document)))
    bad = canonical_json(spliced(document, path, data.draw(JSON))) + b"\n"
    file = tmp_path_factory.mktemp("forged") / "proof.json"
    file.write_bytes(bad)
    try:
        theirs = verify_proof(file).exit_code
    except InputError:
        theirs = 2
    changed = bad != canonical_json(document) + b"\n"
    assert quietly(file) == theirs
    assert (theirs == 3) == (not changed)


@settings(max_examples=150)
@given(st.data())
def test_a_proof_from_a_ledger_that_was_made_up_for_it_is_of_another_head(
    unsigned_run: Path,
    record_key: RecordKey,
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
) -> None:
    """Without a signature anybody can write a head; the digest of the head tells them apart."""
    document = json.loads(format_proof(make_proof(unsigned_run, "b", key=record_key)))
    known = verify_head_of(document)
    entry = json.loads(document["entries"][1]["line"])
    path = data.draw(st.sampled_from(paths_in(entry["body"])[1:]))
    entry["body"] = spliced(entry["body"], path, data.draw(JSON))
    lines = [document["entries"][0]["line"].encode(), canonical_json(entry)]
    head = Head(origin="auditor/run/small", size=2, root=tree_root(lines))
    document["head"] = format_head(head, None).decode()
    document["entries"] = [
        {"line": line.decode(), "path": [sha256(b"\x00" + other)[7:]]}
        for line, other in (lines, lines[::-1])
    ]
    document["steps"] = []
    file = tmp_path_factory.mktemp("forged") / "proof.json"
    file.write_bytes(canonical_json(document) + b"\n")
    assert verify_proof(file, head=known).exit_code == 1
    assert quietly(file, "--head", known) == 1
    assert quietly(file) == verify_proof(file).exit_code


def verify_head_of(document: dict[str, Any]) -> str:
    from auditor.ledger import parse_head

    return f"sha256:{parse_head(document['head'].encode())[0].root.hex()}"
