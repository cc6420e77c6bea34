"""The registered data of an audit: tables by split, their roles, groups and record indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor.checks import Predicted, Subject
from auditor.datasets import DataOptions, Roles, Table, declare_groups, group_codes, open_table
from auditor.datasets.roles import label_sql
from auditor.datasets.tasks import check_data, classes_of
from auditor.errors import InputError
from auditor.evidence import Stage
from auditor.provenance import (
    FILE_METHOD,
    default_cache,
    file_manifest,
    folder_manifest,
    record_manifest,
)
from auditor.provenance.lineage import Lineage
from auditor.provenance.records import RecordManifest
from auditor.provenance.sources import Source
from auditor.stats import Groups, Statistic

if TYPE_CHECKING:
    from auditor.loop.records import RecordIndex

__all__ = [
    "RegisteredData",
    "content_manifest",
    "folders_manifest",
    "options_manifest",
    "register_tables",
    "same_records",
    "table_manifest",
]

_MISSING_LABEL = 2


@dataclass(frozen=True)
class RegisteredData:
    """What ``audit.data`` was given, checked."""

    tables: Mapping[str, Table]
    roles: Roles
    groups: Groups
    options: DataOptions = field(default_factory=DataOptions)
    sources: tuple[Source, ...] = ()
    lineage: Lineage | None = None
    schema: Any = None

    def subject(
        self,
        stage: Stage,
        *,
        counted: Mapping[str, Statistic] | None = None,
        predictions: Table | None = None,
        predicted: Predicted | None = None,
        groups: Groups | None = None,
        roles: Roles | None = None,
        digest_key: bytes | None = None,
    ) -> Subject:
        """Return the subject of a stage that looks at these data."""
        return Subject(
            stage, groups or self.groups, roles or self.roles, self.tables,
            predictions=predictions, predicted=predicted, counted=counted or {},
            options=replace(self.options, digest_key=digest_key),
            sources=self.sources, lineage=self.lineage,
        )  # fmt: skip

    @cached_property
    def manifests(self) -> dict[str, dict[str, Any]]:
        """What the record keeps of every table, by split."""
        return {split: table_manifest(t, self.schema) for split, t in self.tables.items()}

    def digests(self, *splits: str) -> dict[str, str]:
        """Return the digests of the tables, all or those of some splits."""
        return {k: m["digest"] for k, m in self.manifests.items() if not splits or k in splits}

    def index(self, split: str) -> RecordIndex:
        """Return the rows of a split, ready for a loop; raises :class:`InputError`."""
        if split not in self.tables:
            raise InputError(
                f"no {split} data is registered", valid=f"audit.data({split}=…) before this call"
            )
        return self._indices[split]

    def codes(self, split: str) -> NDArray[np.int32]:
        """Return the group codes of a split's rows, shape ``[rows, attributes]``."""
        return self._codes[split]

    @cached_property
    def _codes(self) -> dict[str, NDArray[np.int32]]:
        return {k: group_codes(t, self.groups, self.roles) for k, t in self.tables.items()}

    @cached_property
    def _indices(self) -> dict[str, RecordIndex]:
        from auditor.loop.records import RecordIndex

        return {
            split: RecordIndex(
                split=split,
                groups=self.groups,
                codes=self._codes[split],
                labels=self._labels(table),
                record_id=self.roles.record_id,
                ids=self._ids(table),
                task=self.roles.task,
                classes=self.classes,
            )
            for split, table in self.tables.items()
        }

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The classes of the target in all tables, by number; none where the task has none."""
        if self.roles.target is None or self.roles.task not in ("binary", "multiclass"):
            return ()
        if self.roles.task == "binary":
            return ("0", "1")
        return classes_of(list(self.tables.values()), self.roles)

    def _labels(self, table: Table) -> Any:
        """Return the target as class numbers, −1 where it is missing; ``None`` without classes."""
        target = self.roles.target
        if target is None or not self.classes:
            return None
        if self.roles.task == "binary":
            sql = label_sql(table, target, self.roles.positive)
            labels = table.query(f"select {sql} as y from data")["y"].to_numpy()
            return np.where(labels == _MISSING_LABEL, -1, labels).astype(np.int64)
        numbers = {name: number for number, name in enumerate(self.classes)}
        labels = table.query(f"select {table.text(target)} as y from data")["y"].to_pylist()
        return np.array([numbers.get(label, -1) for label in labels], np.int64)

    def _ids(self, table: Table) -> list[str] | None:
        if self.roles.record_id is None:
            return None
        text = table.text(self.roles.record_id)
        ids = table.query(f"select {text} as i from data")["i"].to_pylist()
        if any(identifier is None for identifier in ids):
            raise InputError(
                f"record id {self.roles.record_id!r} is missing in "
                f"{sum(i is None for i in ids):,} of {len(ids):,} rows",
                where=table.place("record_id="),
                valid="an id in every row",
            )
        return ids


def register_tables(
    given: Mapping[str, Any],
    roles: Roles,
    *,
    intersections: int,
    options: DataOptions | None = None,
    sources: tuple[Source, ...] = (),
    lineage: Lineage | None = None,
    schema: Any = None,
) -> RegisteredData:
    """Open and check the tables, and declare the groups that they hold together."""
    tables = {
        split: open_table(source, name=None if isinstance(source, str) else f"{split}=")
        for split, source in given.items()
        if source is not None
    }
    if not tables:
        raise InputError("no table was given", valid="train=, validation= or test=")
    options = options or DataOptions()
    for table in tables.values():
        check_data(table, roles)
        table.require(options.text, option="text=")
        table.require([options.entity] if options.entity else [], option="entity=")
    groups = declare_groups(
        list(tables.values()), roles.sensitive, bins=roles.bins, intersections=intersections
    )
    return RegisteredData(tables, roles, groups, options, sources, lineage, schema)


def content_manifest(table: Table, schema: Any = None) -> RecordManifest:
    """Return the digests of a table's records, in their order and as a set.

    Under a declared ``schema`` (see :func:`auditor.provenance.declared_schema`) the same data have
    the same digests from whatever kind of file. Without one every field is text, whole numbers
    written alike in columns of integers and of floats.
    """
    if schema is not None:
        return record_manifest(table.records(), schema, where=table.name)
    texts = dict.fromkeys(table.columns, "string")
    return record_manifest(table.contents(), texts, where=table.name)


def table_manifest(table: Table, schema: Any = None) -> dict[str, Any]:
    """Return what the record keeps of a table: names, counts and digests; never a row."""
    records = content_manifest(table, schema)
    return {
        "name": table.files[0].name if len(table.files) == 1 else table.name.rsplit("/")[-1],
        "rows": records.rows,
        "columns": list(table.columns),
        "types": dict(table.types),
        "digest": records.ordered_root,
        "set_digest": records.set_digest,
        "method": records.method,
        "schema": None if schema is None else records.schema,
        "file_method": FILE_METHOD,
        "files": file_manifest(table.files, cache=default_cache()),
    }


def same_records(
    table: Table, other: Table, *, record_id: str | None, but: Sequence[str | None] = ()
) -> bool:
    """Whether two tables hold the same records, in any order.

    Records are the same by their ids where both tables have them, and otherwise by the columns
    that the tables share, ``but`` for some.
    """
    shared = [name for name in other.columns if name in table.columns and name not in but]
    by = [record_id] if record_id is not None and record_id in shared else shared
    if not by or table.rows != other.rows:
        return False
    ours, theirs = (np.sort(t.row_hashes(by).view("V32").ravel()) for t in (table, other))
    return bool(np.array_equal(ours, theirs))


def folders_manifest(folders: Mapping[str, str | Path]) -> dict[str, Any]:
    """Return what the record keeps of folders of files; nothing where none was given."""
    found: dict[str, Any] = {}
    for name, path in folders.items():
        manifest = folder_manifest(path, cache=default_cache())
        found[name] = {
            "root": manifest.root, "files": manifest.files, "bytes": manifest.bytes,
            "suffixes": {k: asdict(v) for k, v in manifest.suffixes.items()},
            "method": manifest.method,
        }  # fmt: skip
    return {"folders": found} if found else {}


def options_manifest(options: DataOptions) -> dict[str, Any]:
    """Return what the record keeps of what was given beside the tables; nothing where unused."""
    found: dict[str, Any] = {}
    if options.population is not None:
        found["population"] = table_manifest(options.population)
    if options.production is not None:
        found["production"] = table_manifest(options.production)
    if options.benchmarks:
        found["benchmarks"] = {k: table_manifest(t) for k, t in options.benchmarks.items()}
    if options.text:
        found["text"] = list(options.text)
    if options.entity is not None:
        found["entity"] = options.entity
    if options.annotators:
        found["annotators"] = list(options.annotators)
    if options.proxies:
        found["proxies"] = {"features": list(options.features), "seed": options.seed}
    return found
