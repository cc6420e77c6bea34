"""Personal data in the tables: by pattern and check digits, and hints by the names of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from auditor.checks.check import Check, Evidence, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Stage
from auditor.metrics import disaggregate
from auditor.metrics.personal_data import PERSONAL_CATEGORIES, PERSONAL_COLUMNS, PERSONAL_DATA
from auditor.stats import Groups, SliceTable, Statistic

if TYPE_CHECKING:
    from auditor.datasets import Table

__all__ = ["PersonalDataInTables"]

# Bytes of one batch: a table of long documents is read a few of them at a time.
_BATCH = 1 << 25
_MOST_ROWS, _LEAST_ROWS, _SAMPLED = 1 << 18, 1 << 4, 1 << 11
_MOST_DIGESTS = 1_000
_UNREAD = ("DATE", "TIME", "BOOLEAN", "INTERVAL", "DECIMAL", "BLOB")


@register
class PersonalDataInTables(Check):
    """The share of records that hold personal data, by kind, by column and by group.

    Every table given is scanned; ``columns``, ``kinds`` (kinds or categories) and ``ignore``
    (columns that are known to hold personal data, and may) narrow what is looked for. Shares are
    exact for the table: 0 says that no pattern matched, not that nobody is named in it. The
    parameter is a kind, a category or ``any``, with ``kind:column`` for one column; that of another
    table than ``train`` begins with its name, as in ``test/email``. Beside them stands the number
    of columns whose names suggest personal data, the special categories of Article 9 GDPR too:
    hints by name alone. A run with a record key keeps the 1,000 smallest digests of each kind under
    it, by which its owner recognises a value and nobody else can guess one; see
    :func:`auditor.provenance.personal_data.value_digest`.
    """

    id: ClassVar[str] = "provenance.personal-data"
    title: ClassVar[str] = "Personal data"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.DATA,)
    metrics: ClassVar[tuple[str, ...]] = ("personal_data_rate", "personal_column_count")

    columns: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count records with personal data by slice, and columns by what their names suggest."""
        from auditor.provenance.personal_data import select_kinds

        if not subject.tables:
            raise NotMeasurable("no data set was given")
        chosen = select_kinds(self.kinds)
        statistics: list[Statistic] = []
        for split, table in subject.tables.items():
            looked_at = self._looked_at(table)
            statistics.append(_scan(table, subject, looked_at, chosen, split))
            statistics.append(_named(looked_at, split))
        return statistics

    def _looked_at(self, table: Table) -> tuple[str, ...]:
        for column in self.columns or ():
            table.require([column])
        columns = self.columns or table.columns
        left = tuple(column for column in columns if column not in self.ignore)
        if not left:
            raise NotMeasurable(f"{table.name} has no column that is not ignored")
        return left

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive shares: categories and what was found for everybody, categories found by group."""
        findings: list[Finding] = []
        for item in evidence:
            statistic = item.statistic
            assert isinstance(statistic, SliceTable)
            split = str(statistic.context["split"])
            place = "" if split == "train" else f"{split}/"
            counted = statistic.columns[1:]
            everybody = statistic.family(())[0, 1:].tolist()
            found = {name for name, n in zip(counted, everybody, strict=True) if n}
            metric = "personal_data_rate"
            if statistic.kind == PERSONAL_COLUMNS:
                metric = "personal_column_count"
                always, by_group = {"any", "special"}, set[str]()
            else:
                always, by_group = (
                    {"any", *PERSONAL_CATEGORIES, *(self.kinds or ())},
                    {"any", *PERSONAL_CATEGORIES},
                )
            for name in (n for n in counted if n in found | always):
                families = [
                    family
                    for family in statistic.groups.families
                    if not family or (len(family) == 1 and name in found & by_group)
                ]
                measured = disaggregate(
                    [f"{metric}[{place}{name}]"], statistic, families=families,
                    confidence=self.confidence, compared=[f"{metric}[{place}any]"],
                )  # fmt: skip
                findings += self.place(measured, stage, [item.digest])
        return findings


def _scan(
    table: Table, subject: Subject, columns: Sequence[str], kinds: Sequence[str], split: str
) -> SliceTable:
    from auditor.datasets import stream
    from auditor.provenance.personal_data import KIND_IDS, Search, find

    read = {c: sql for c in columns if (sql := _content(table, c)) is not None}
    searches = {column: Search.of(kinds, column=column) for column in read}
    members = _members(kinds)
    names = ["records", *members]
    groups = subject.groups
    counts = np.zeros((groups.total, len(names)), np.int64)
    by_column: dict[str, NDArray[np.int64]] = {}
    key, digests = subject.options.digest_key, dict[str, set[str]]()
    for batch in stream(table, groups, subject.roles, read, rows=_rows(table, read)):
        flat = groups.flat(batch.codes)
        held = np.zeros((batch.rows, len(KIND_IDS)), bool)
        for column, search in searches.items():
            found = find(batch.columns[column], search, key=key)
            for kind, digest in zip(found.kinds.tolist(), found.digests, strict=False):
                digests.setdefault(KIND_IDS[kind], set()).add(digest.hex())
            for kind, seen in digests.items():
                if len(seen) > 4 * _MOST_DIGESTS:
                    digests[kind] = set(sorted(seen)[:_MOST_DIGESTS])
            held[found.rows, found.kinds] = True
            for kind in np.unique(found.kinds).tolist():
                marked = np.zeros(batch.rows, bool)
                marked[found.rows[found.kinds == kind]] = True
                name = f"{KIND_IDS[kind]}:{column}"
                by_column.setdefault(name, np.zeros(groups.total, np.int64))
                _add(by_column[name], flat, marked)
        _add(counts[:, 0], flat, np.ones(batch.rows, bool))
        for position, of in enumerate(members.values(), start=1):
            _add(counts[:, position], flat, np.asarray(held[:, of].any(axis=1), bool))
    context: dict[str, Any] = {"split": split, "scanned": list(read), "kinds": list(kinds)}
    if key is not None:
        context["digests"] = {k: sorted(v)[:_MOST_DIGESTS] for k, v in sorted(digests.items())}
    values = np.concatenate([counts, *(v[:, None] for v in by_column.values())], axis=1)
    return SliceTable(PERSONAL_DATA, groups, (*names, *by_column), values, context)


def _add(counts: NDArray[np.int64], flat: NDArray[np.int64], marked: NDArray[np.bool_]) -> None:
    if marked.any():
        for position in range(flat.shape[1]):
            counts += np.bincount(flat[marked, position], minlength=counts.size)


def _members(kinds: Sequence[str]) -> Mapping[str, list[int]]:
    """Return what is counted, and the kinds that count as it: any, categories, kinds."""
    from auditor.provenance.personal_data import CATEGORIES, KIND_IDS, category_of

    places = {kind: [KIND_IDS.index(kind)] for kind in kinds}
    categories = {
        name: [KIND_IDS.index(kind) for kind in kinds if category_of(kind) == name]
        for name in CATEGORIES
    }
    chosen = {name: of for name, of in categories.items() if of}
    return {"any": [KIND_IDS.index(kind) for kind in kinds], **chosen, **places}


def _content(table: Table, column: str) -> str | None:
    """Return SQL for what of a column is looked at; ``None`` for a type that holds no identifier.

    Missing values make floats of whole numbers, which are read as what they were.
    """
    from auditor.datasets.table import quoted

    kind = table.types[column]
    if kind.startswith(_UNREAD):
        return None
    if kind in {"DOUBLE", "FLOAT"}:
        name = quoted(column)
        whole = f"{name} = floor({name}) and abs({name}) between 1000000 and 9007199254740992"
        return f"case when {whole} then cast({name} as bigint) end"
    return quoted(column) if table.is_numeric(column) else table.text(column)


def _rows(table: Table, read: Mapping[str, str]) -> int:
    if not read:
        return _MOST_ROWS
    size = " + ".join(f"coalesce(strlen(cast({sql} as varchar)), 0)" for sql in read.values())
    sample = f"(select * from data limit {_SAMPLED})"
    largest = table.query(f"select max({size}) as n from {sample}").to_pylist()[0]["n"] or 1
    return max(_LEAST_ROWS, min(_MOST_ROWS, _BATCH // int(largest or 1)))


def _named(columns: Sequence[str], split: str) -> SliceTable:
    from auditor.provenance.personal_data import HINTS, column_hints

    hints = column_hints(columns)
    special = {c for hint, found in hints.items() if hint.startswith("special:") for c in found}
    everybody = Groups.declare([])
    names = ("columns", "any", "special", *HINTS)
    counts = [
        len(columns), len({c for found in hints.values() for c in found}), len(special),
        *(len(hints.get(hint, ())) for hint in HINTS),
    ]  # fmt: skip
    context = {"split": split, "hints": {hint: list(found) for hint, found in hints.items()}}
    return SliceTable(PERSONAL_COLUMNS, everybody, names, np.array([counts]), context)
