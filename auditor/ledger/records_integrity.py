"""Are the committed records and steps of a run what its ledger says: files, order, roots, counts?

What a proof cannot show by itself is checked here, by whoever has the folder: that the commitments
are in strict order, so that two neighbours leave no room between them, that the steps are all
there, so that those shown for a record are all that used it, and that the chain over the steps is
that of their traces.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from auditor.errors import InputError
from auditor.ledger.chain import Entry, Ledger
from auditor.ledger.commitments import RECORDS, records_file
from auditor.ledger.encoding import is_digest
from auditor.ledger.integrity import Fault
from auditor.ledger.layout import EVIDENCE, LEDGER
from auditor.ledger.listing import digest_file
from auditor.ledger.record_key import RECORD_METHOD, key_root
from auditor.ledger.resumed import RESUMED, resumed_body
from auditor.ledger.sorted_tree import WIDTH, SortedTree
from auditor.ledger.step_segment import STEPS, STEPS_METHOD, UNKNOWN, StepSegment, steps_file
from auditor.ledger.trace import CHAIN_METHOD, Trace, chain_start, trace_file
from auditor.ledger.tree import fold_hashes

__all__ = ["check_records"]

_ANOTHER = "the file is not the one that the ledger binds"


@dataclass(frozen=True)
class _State:
    """What comes next of each split: the number of the step, and the chain that it follows."""

    following: Mapping[str, int] = field(default_factory=dict[str, int])
    chains: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass
class _Walk:
    """What is known at an entry; ``states`` are those after earlier ones, by their number."""

    withheld: Collection[str]
    state: _State = field(default_factory=_State)
    states: dict[int, _State] = field(default_factory=dict[int, _State])
    trees: dict[str, SortedTree] = field(default_factory=dict[str, SortedTree])
    seen: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])


def check_records(run: Path, ledger: Ledger, *, withheld: Collection[str] = ()) -> list[Fault]:
    """Hold every ``records`` and ``steps`` entry of a ledger against its files.

    Nothing is off where a run has neither. Entries whose file is among the ``withheld`` are left
    out, and so are the steps over withheld records. Files are mapped, not read, so that memory is
    bounded. After a ``resumed`` entry the steps go on from where they were when the state was
    taken.
    """
    faults: list[Fault] = []
    walk = _Walk(withheld)
    bound: set[str] = set()
    for entry in ledger.of_type(RECORDS, STEPS, RESUMED):
        bound |= {str(entry.body.get(name)) for name in ("file", "trace")}
        try:
            if entry.type == RESUMED:
                _go_back(entry, walk)
            elif entry.type == RECORDS:
                if str(entry.body.get("file")) not in withheld:
                    _check_commitments(run, entry, ledger, walk.trees)
            else:
                _check_segment(run, entry, ledger, walk)
        except InputError as error:
            faults.append(Fault(where=error.where or f"{LEDGER}, entry {entry.seq}",
                                what=error.what))  # fmt: skip
        walk.states[entry.seq] = walk.state
    kinds = tuple(f"{EVIDENCE}/{kind}-" for kind in ("records", "steps", "trace"))
    for path in sorted((run / EVIDENCE).glob("*.bin")):
        name = f"{EVIDENCE}/{path.name}"
        if name.startswith(kinds) and name not in bound:
            faults.append(Fault(where=name, what="no entry of the ledger speaks of this file"))
    return faults


def _go_back(entry: Entry, walk: _Walk) -> None:
    body = resumed_body(entry)
    if body is None:
        raise InputError("it does not say from which step, look and entries the run goes on")
    step, _, entries = body
    before = [seq for seq in walk.states if seq < entries]
    walk.state = walk.states[max(before)] if before else _State()
    if any(following > step + 1 for following in walk.state.following.values()):
        raise InputError(f"step {step:,}, but there were more when the state was taken")


def _check_commitments(
    run: Path, entry: Entry, ledger: Ledger, trees: dict[str, SortedTree]
) -> None:
    body, split = entry.body, str(entry.body.get("split"))
    if key_root(ledger.entries[0].body, body) is None:
        raise InputError("records, but entry 0 commits to no key for them")
    if split in trees:
        raise InputError(f"the records of {split!r} were committed to before")
    _demand(body, file=records_file(split), method=RECORD_METHOD)
    tree = SortedTree(_mapped(run, str(body["file"]), body.get("digest")))
    disorder = tree.first_disorder()
    if disorder is not None:
        what = f"commitment {disorder} is not above the one before it"
        raise InputError(what, where=str(body["file"]))
    _demand(body, count=len(tree), root=f"sha256:{tree.root().hex()}")
    trees[split] = tree


def _check_segment(run: Path, entry: Entry, ledger: Ledger, walk: _Walk) -> None:
    body, split = entry.body, str(entry.body.get("split"))
    names = {f"{EVIDENCE}/records-{split}.bin", str(body.get("file"))}
    hidden = bool(names & set(walk.withheld))
    if split not in walk.trees and not hidden:
        raise InputError(f"steps over records of {split!r}, which were not committed to before")
    following = walk.state.following
    first, count = body.get("first"), body.get("count")
    if type(first) is not int or first != following.get(split, first):
        raise InputError("the steps do not follow those before")
    walk.seen[split, first] += 1
    again = walk.seen[split, first]
    _demand(body, file=steps_file(split, first, again=again), method=STEPS_METHOD)
    hashes: list[bytes] | None = None
    if not hidden:
        segment, hashes = _read_segment(run, body, walk.trees[split])
        count = len(segment)
        _demand(
            body,
            count=count,
            last=first + count - 1,
            records=len(segment.positions),
            unknown=int((segment.positions == UNKNOWN).sum()),
            root=f"sha256:{fold_hashes(hashes).hex()}",
        )
    chains = dict(walk.state.chains)
    chain = _check_trace(run, entry, ledger, walk, hashes, again=again)
    if chain is not None:
        chains[split] = chain
    if type(count) is int:
        walk.state = _State({**following, split: first + count}, chains)


def _read_segment(
    run: Path, body: Mapping[str, Any], tree: SortedTree
) -> tuple[StepSegment, list[bytes]]:
    """Read the file of a segment, and hash its steps; a changed file is told with its step."""
    name, leaves = str(body["file"]), np.frombuffer(tree.buffer, np.uint8).reshape(-1, WIDTH)

    def read(data: memoryview) -> tuple[StepSegment, list[bytes]]:
        segment = StepSegment.read(data, records=len(tree), where=name)
        return segment, segment.hashes(leaves)

    try:
        return read(_mapped(run, name, body.get("digest")))
    except InputError as error:
        if error.what != _ANOTHER or not is_digest(body.get("chain_before")):
            raise
        # The trace is bound by a digest of its own: it tells which step was another.
        _, hashes = read(_unchecked(run, name))
        traced = str(body.get("trace"))
        trace = Trace.read(_mapped(run, traced, body.get("trace_digest")), where=traced)
        before = chain_start(str(body["chain_before"]))
        step = trace.first_break(trace.chain(before, hashes)[1]) if len(trace) == len(
            hashes) else None  # fmt: skip
        said = "" if step is None else f"; step {step:,} consumed other records"
        raise InputError(f"{_ANOTHER}{said}", where=name) from None


def _check_trace(
    run: Path,
    entry: Entry,
    ledger: Ledger,
    walk: _Walk,
    hashes: list[bytes] | None,
    *,
    again: int,
) -> str | None:
    """Hold the trace of a segment against its file; return the chain after it, if it has one."""
    body, split, first = entry.body, str(entry.body["split"]), int(entry.body["first"])
    before = walk.state.chains.get(split)
    fields = {"trace", "trace_digest", "checkpoints", "chain_before", "chain", "chain_method"}
    if not fields & body.keys():
        if before is not None:
            raise InputError("steps without a trace follow some with one")
        return None
    if before is None and split in walk.state.following:
        raise InputError("steps with a trace follow some without one")
    before = before or ledger.entries[0].digest
    name = trace_file(split, first, again=again)
    _demand(body, trace=name, chain_method=CHAIN_METHOD)
    if not is_digest(body.get("chain")):
        raise InputError("there is no digest of the chain")
    if body.get("chain_before") != before:
        raise InputError(
            f"the chain breaks before step {first:,}: it follows "
            f"{str(body.get('chain_before'))[:80]}, and the steps before it end in {before}"
        )
    if name in walk.withheld:
        return str(body.get("chain"))
    trace, changed = _read_trace(run, name, body)
    if (trace.first, len(trace)) != (first, body.get("count")):
        raise InputError(f"not the trace of the steps from {first:,}", where=name)
    _demand(body, checkpoints=len(trace.checkpoints))
    if hashes is not None:
        found, values = trace.chain(chain_start(before), hashes)
        broken = trace.first_break(values)
        if broken is not None:
            raise InputError(f"the chain breaks at step {broken:,}", where=name)
        if body.get("chain") != f"sha256:{found.hex()}":
            raise InputError(f"the chain after step {first + len(trace) - 1:,} is another")
    if changed:
        raise InputError(_ANOTHER, where=name)
    return str(body.get("chain"))


def _read_trace(run: Path, name: str, body: Mapping[str, Any]) -> tuple[Trace, bool]:
    """Read a trace, and tell whether it is another than the ledger binds: which step is, too."""
    try:
        return Trace.read(_mapped(run, name, body.get("trace_digest")), where=name), False
    except InputError as error:
        if error.what != _ANOTHER:
            raise
        return Trace.read(_unchecked(run, name), where=name), True


def _demand(body: Mapping[str, Any], **fields: object) -> None:
    for name, value in fields.items():
        if type(body.get(name)) is not type(value) or body.get(name) != value:
            raise InputError(f"{name} is {body.get(name)!r}, and would be {value!r}")


def _mapped(run: Path, name: str, digest: object) -> memoryview:
    """Map a file, after its digest was checked."""
    try:
        if digest_file(run / name) != digest:
            raise InputError(_ANOTHER, where=name)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=name) from None
    return _unchecked(run, name)


def _unchecked(run: Path, name: str) -> memoryview:
    """Map a file, whatever it is."""
    path = run / name
    try:
        empty = not path.stat().st_size  # an empty file cannot be mapped
        return memoryview(b"") if empty else np.memmap(path, np.uint8, "r").data
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=name) from None
