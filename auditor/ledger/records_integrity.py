"""Are the committed records and steps of a run what its ledger says: files, order, roots, counts?

What a proof cannot show by itself is checked here, by whoever has the folder: that the commitments
are in strict order, so that two neighbours leave no room between them, and that the steps are all
there, so that those shown for a record are all that used it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
from auditor.ledger.record_key import RECORD_METHOD
from auditor.ledger.sorted_tree import WIDTH, SortedTree
from auditor.ledger.steps import STEPS, STEPS_METHOD, UNKNOWN, StepSegment, steps_file
from auditor.ledger.tree import fold_hashes

__all__ = ["check_records"]


def check_records(run: Path, ledger: Ledger, *, withheld: Collection[str] = ()) -> list[Fault]:
    """Hold every ``records`` and ``steps`` entry of a ledger against its file.

    Nothing is off where a run has neither. Entries whose file is among the ``withheld`` are left
    out, and so are the steps over withheld records. Files are mapped, not read, so that memory is
    bounded.
    """
    faults: list[Fault] = []
    trees: dict[str, SortedTree] = {}
    following: dict[str, int] = {}
    bound: set[str] = set()
    for entry in ledger.of_type(RECORDS, STEPS):
        bound.add(str(entry.body.get("file")))
        needed = {str(entry.body.get("file")), f"{EVIDENCE}/records-{entry.body.get('split')}.bin"}
        if needed & set(withheld):
            continue
        try:
            if entry.type == RECORDS:
                _check_commitments(run, entry, ledger, trees)
            else:
                _check_segment(run, entry, trees, following)
        except InputError as error:
            faults.append(Fault(where=error.where or f"{LEDGER}, entry {entry.seq}",
                                what=error.what))  # fmt: skip
    for path in sorted((run / EVIDENCE).glob("*.bin")):
        name = f"{EVIDENCE}/{path.name}"
        if name.startswith((f"{EVIDENCE}/records-", f"{EVIDENCE}/steps-")) and name not in bound:
            faults.append(Fault(where=name, what="no entry of the ledger speaks of this file"))
    return faults


def _check_commitments(
    run: Path, entry: Entry, ledger: Ledger, trees: dict[str, SortedTree]
) -> None:
    body, split = entry.body, str(entry.body.get("split"))
    if not is_digest(ledger.entries[0].body.get("records_key_root")):
        raise InputError("records, but entry 0 commits to no key for them")
    if split in trees:
        raise InputError(f"the records of {split!r} were committed to before")
    _demand(body, file=records_file(split), method=RECORD_METHOD)
    tree = SortedTree(_mapped(run, body))
    disorder = tree.first_disorder()
    if disorder is not None:
        what = f"commitment {disorder} is not above the one before it"
        raise InputError(what, where=str(body["file"]))
    _demand(body, count=len(tree), root=f"sha256:{tree.root().hex()}")
    trees[split] = tree


def _check_segment(
    run: Path, entry: Entry, trees: dict[str, SortedTree], following: dict[str, int]
) -> None:
    body, split = entry.body, str(entry.body.get("split"))
    if split not in trees:
        raise InputError(f"steps over records of {split!r}, which were not committed to before")
    first = body.get("first")
    if (
        not isinstance(first, int)
        or isinstance(first, bool)
        or first != following.get(split, first)
    ):
        raise InputError("the steps do not follow those before")
    _demand(body, file=steps_file(split, first), method=STEPS_METHOD)
    tree = trees[split]
    segment = StepSegment.read(_mapped(run, body), records=len(tree), where=str(body["file"]))
    leaves = np.frombuffer(tree.buffer, np.uint8).reshape(-1, WIDTH)
    _demand(
        body,
        count=len(segment),
        last=first + len(segment) - 1,
        records=len(segment.positions),
        unknown=int((segment.positions == UNKNOWN).sum()),
        root=f"sha256:{fold_hashes(segment.hashes(leaves)).hex()}",
    )
    following[split] = first + len(segment)


def _demand(body: Mapping[str, Any], **fields: object) -> None:
    for name, value in fields.items():
        if type(body.get(name)) is not type(value) or body.get(name) != value:
            raise InputError(f"{name} is {body.get(name)!r}, and would be {value!r}")


def _mapped(run: Path, body: Mapping[str, Any]) -> memoryview:
    """Map the file of an entry, after its digest was checked."""
    name = str(body["file"])
    path = run / name
    try:
        if digest_file(path) != body.get("digest"):
            raise InputError("the file is not the one that the ledger binds", where=name)
        empty = not path.stat().st_size  # an empty file cannot be mapped
        return memoryview(b"") if empty else np.memmap(path, np.uint8, "r").data
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=name) from None
