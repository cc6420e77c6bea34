"""A copy of a run for the public: small cells and chosen tables withheld, the rest still provable.

The ledger, its head and its signature stay as they are. A file that is withheld keeps its digest
in the seal; a document of which rows are withheld keeps, of each, the hash that the ledger's root
over its rows is made of (:mod:`auditor.ledger.openings`). So a redacted copy can leave out, and
cannot alter.

Which cells are small is decided by the number of records of a slice. A single withheld group could
be computed from the total and the others; a second one, the next smallest, is therefore withheld
with it until they hold the smallest number allowed together. The conjunctions of an attribute of
which a group is withheld, and those with a small cell of their own, are withheld as whole families.
"""

from __future__ import annotations

import fnmatch
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.errors import InputError, RunError
from auditor.evidence import Slice, canonical_json, sha256
from auditor.ledger import EVIDENCE, FINDINGS, HEAD, LEDGER, VERDICT, RunRecord
from auditor.ledger.layout import REDACTED, REDACTION, SALTS
from auditor.ledger.openings import committed_rows, redacted_document
from auditor.ledger.storage import write_atomically
from auditor.ledger.withheld import NEVER_WITHHELD, REDACTION_SCHEMA
from auditor.provenance.lineage import GROUP_ROWS_SCHEMA
from auditor.stats import CONFUSION, SliceTable, read_statistic
from auditor.verify.openings import seed_of

__all__ = ["HiddenSlices", "Redaction", "redact_run", "small_slices"]

_ALWAYS_WHOLE = ("report.*", SALTS)


@dataclass(frozen=True, slots=True)
class HiddenSlices:
    """The slices that are withheld, and the families of which every slice is."""

    slices: frozenset[Slice]
    families: frozenset[tuple[str, ...]]

    def hides(self, where: Slice) -> bool:
        """Whether nothing is shown of a slice."""
        return where in self.slices or where.attributes in self.families

    def hides_over(self, attributes: Sequence[str]) -> bool:
        """Whether a number over all groups of attributes could give one of them away."""
        family = tuple(sorted(attributes))
        return family in self.families or any(s.attributes == family for s in self.slices)


@dataclass(frozen=True, slots=True)
class Redaction:
    """What a redacted copy withholds: whole files, and rows of documents."""

    path: Path
    files: tuple[str, ...]
    documents: Mapping[str, int]
    smallest: int


def small_slices(statistics: Sequence[SliceTable], *, smallest: int) -> HiddenSlices:
    """Return the slices with fewer than ``smallest`` records, and what would give them away.

    Parameters
    ----------
    statistics:
        Counts by slice. The records of a slice are the column ``records`` where that comes first,
        and all cells of a confusion table; other counts say nothing of how many records there are.
    """
    slices: set[Slice] = set()
    families: set[tuple[str, ...]] = set()
    counted = [s for s in statistics if s.columns[0] == "records" or s.kind == CONFUSION]
    for statistic in counted:
        groups = statistic.groups
        for family in filter(None, groups.families):
            values = statistic.family(family)
            sizes = values.sum(axis=1) if statistic.kind == CONFUSION else values[:, 0]
            order = [int(i) for i in sizes.argsort(kind="stable") if sizes[i] > 0]
            small = [i for i in order if sizes[i] < smallest]
            if not small:
                continue
            if len(family) > 1:
                families.add(tuple(sorted(family)))
                continue
            hidden = list(small)
            for i in order[len(small) :]:
                if len(hidden) > 1 and sizes[hidden].sum() >= smallest:
                    break
                hidden.append(i)
            slices |= {groups.slice_of(family, i) for i in hidden}
    touched = {attribute for where in slices for attribute in where.attributes}
    for statistic in statistics:
        families |= {
            tuple(sorted(family))
            for family in statistic.groups.families
            if len(family) > 1 and touched & set(family)
        }
    return HiddenSlices(frozenset(slices), frozenset(families))


def redact_run(
    run: str | Path, out: str | Path, *, smallest: int = 10, withhold: Sequence[str] = ()
) -> Redaction:
    """Write a redacted copy of a sealed run.

    Parameters
    ----------
    run, out:
        The run folder, and the folder to write, which must not exist or be empty.
    smallest:
        Slices of fewer records are withheld.
    withhold:
        What else: kinds of statistics (``score-counts``), or patterns of file names
        (``evidence/records-*``).

    Raises :class:`InputError` for a pattern that fits nothing, and :class:`RunError` for a run
    that is not sealed, or that did not commit to the rows of its documents.
    """
    record = RunRecord.load(run, sealed=True)
    target = Path(out).expanduser()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError("the folder is not empty", where=str(out), valid="choose another --out")
    if target.resolve().is_relative_to(record.path.resolve()):
        raise InputError("nothing is written into a finished run", where=str(out),
                         valid="an --out outside")  # fmt: skip
    if smallest < 1:
        raise InputError(f"the smallest cell is {smallest}", where="--min-cell", valid="from 1")
    if record.withheld.missing:
        raise RunError("this copy is redacted already", where=str(run), valid="the run itself")
    committed = committed_rows(record.ledger)
    if not committed:
        raise RunError(
            "the run did not commit to the rows of its documents, so that none can be withheld",
            where=str(run), valid="a run of this version that was recorded into a folder",
        )  # fmt: skip
    seed = seed_of(record)
    bound = record.files
    documents = {name: record.document(name) for name in bound if name.endswith(".json")}
    kinds = {n: d.get("kind") for n, d in documents.items() if n.startswith(f"{EVIDENCE}/")}
    whole = _chosen(bound, kinds, withhold)
    whole |= {n for n in bound if any(fnmatch.fnmatchcase(n, p) for p in _ALWAYS_WHOLE)}

    whole |= {name for name, document in documents.items() if _few(document, smallest)}
    tables = {
        name: statistic
        for name, kind in kinds.items()
        if kind is not None
        for statistic in [read_statistic(documents[name], where=name)]
    }
    counted = [table for table in tables.values() if isinstance(table, SliceTable)]
    hidden = small_slices(counted, smallest=smallest)
    partly: dict[str, Callable[[int, Any], bool]] = {}
    for name, table in tables.items():
        if name in whole or not any(map(hidden.hides_over, table.groups.families)):
            continue
        if not isinstance(table, SliceTable) or name not in committed:
            whole.add(name)
            continue
        numbers = _hidden_numbers(table, hidden)
        if not any(row[0] in numbers for row in documents[name]["rows"]):
            continue
        partly[name] = lambda _, row, numbers=numbers: row[0] not in numbers
    findings = documents[FINDINGS]["findings"]
    lost = {i for i, finding in enumerate(findings) if _hides(hidden, finding)}
    if lost:
        partly[FINDINGS] = lambda place, _: place not in lost
        if VERDICT in documents:
            partly[VERDICT] = lambda place, row: (
                place % 2 == 0 or not lost & set(row.get("findings", ()))
            )
    return _write(record, target, whole, partly, documents, seed=seed, smallest=smallest)


def _chosen(
    bound: Mapping[str, str], kinds: Mapping[str, str | None], patterns: Sequence[str]
) -> set[str]:
    chosen: set[str] = set()
    for pattern in patterns:
        found = {n for n in NEVER_WITHHELD.union(bound) if fnmatch.fnmatchcase(n, pattern)}
        found |= {name for name, kind in kinds.items() if kind == pattern}
        if not found:
            raise InputError(
                f"nothing in this run is called {pattern!r}", where="--withhold",
                valid="a kind of statistics ("
                + ", ".join(sorted({k for k in kinds.values() if k})[:12])
                + ") or a pattern of file names",
            )  # fmt: skip
        if fixed := sorted(found & NEVER_WITHHELD):
            raise InputError(f"{fixed[0]} cannot be withheld", where="--withhold",
                             valid="statistics, findings, verdict or reports")  # fmt: skip
        chosen |= found
    return chosen


def _few(document: Any, smallest: int) -> bool:
    """Whether a document of rows by group tells of a group of few records."""
    if not isinstance(document, dict) or document.get("schema") != GROUP_ROWS_SCHEMA:
        return False
    return any(0 < row[2] < smallest or 0 < row[2] - row[3] < smallest for row in document["rows"])


def _hidden_numbers(table: SliceTable, hidden: HiddenSlices) -> set[int]:
    """Return the flat numbers of the slices of which nothing is shown."""
    groups = table.groups
    numbers: set[int] = set()
    for family in groups.families:
        start, size = groups.offset(family), groups.size(family)
        if tuple(sorted(family)) in hidden.families:
            numbers |= set(range(start, start + size))
        elif any(where.attributes == tuple(sorted(family)) for where in hidden.slices):
            numbers |= {
                start + i for i in range(size) if hidden.hides(groups.slice_of(family, i))
            }  # fmt: skip
    return numbers


def _hides(hidden: HiddenSlices, finding: Mapping[str, Any]) -> bool:
    reference = finding.get("reference")
    return (
        hidden.hides(Slice(finding["slice"]))
        or (isinstance(reference, dict) and hidden.hides(Slice(reference)))
        or (finding.get("over") is not None and hidden.hides_over(finding["over"]))
    )


def _write(
    record: RunRecord,
    target: Path,
    whole: set[str],
    partly: Mapping[str, Callable[[int, Any], bool]],
    documents: Mapping[str, Any],
    *,
    seed: bytes,
    smallest: int,
) -> Redaction:
    bound = record.files
    rows: dict[str, int] = {}
    staged: dict[str, bytes] = {}
    for name, shown in partly.items():
        redacted = redacted_document(name, bound[name], documents[name], seed, shown)
        rows[name] = sum("hash" in row for row in redacted["rows"])
        staged[f"{REDACTED}/{name}"] = canonical_json(redacted)
    staged[REDACTION] = canonical_json(
        {
            "schema": REDACTION_SCHEMA,
            "run": record.name,
            "head": sha256((record.path / HEAD).read_bytes()),
            "min_cell": smallest,
            "withheld": sorted(whole),
            "redacted": rows,
        }
    )
    target.mkdir(parents=True, exist_ok=True)
    for name in (*bound, LEDGER, HEAD):
        if name not in whole and name not in partly:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(record.path / name, target / name)
    for name, data in staged.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target / name, data)
    return Redaction(target, tuple(sorted(whole)), rows, smallest)
