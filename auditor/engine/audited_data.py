"""The data of an audit: registered once, measured, and tied to what is evaluated later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.checks import Subject
from auditor.datasets import DataOptions, Roles, Table, declare_groups, open_table
from auditor.engine.arguments import as_names, label_of, roles_for, settings_of, task_named
from auditor.engine.audited_run import AuditedRun
from auditor.engine.datasets import (
    RegisteredData,
    folders_manifest,
    options_manifest,
    register_tables,
    same_records,
    table_manifest,
)
from auditor.engine.lineage import RecordedLineage
from auditor.errors import InputError
from auditor.evidence import Finding, Stage
from auditor.provenance.lineage import How
from auditor.provenance.sources import given_sources, sources_body

if TYPE_CHECKING:
    from auditor.engine.record_commitments import CommittedRecords

__all__ = ["AuditedData"]


class AuditedData(AuditedRun):
    """What an audit knows of data; :class:`~auditor.engine.audit.Audit` adds models and loops."""

    _data: RegisteredData | None = None
    _records: CommittedRecords | None = None
    _record_key: str | Path | None = None
    _predicted: tuple[Table, str] | None = None

    @property
    def record_key(self) -> Path | None:
        """The file with the secret key of the record ids; ``None`` where none were committed to."""
        return None if self._records is None else self._records.key_file

    def discard(self) -> None:
        """Take an unsealed run folder away again, as if nothing had been begun."""
        if self._records is not None and not self._recording.folder.sealed:
            self._records.discard()
        super().discard()

    def data(
        self,
        *,
        train: Any = None,
        validation: Any = None,
        test: Any = None,
        target: str | None = None,
        sensitive: str | Sequence[str] = (),
        record_id: str | None = None,
        positive: Any = None,
        task: str = "binary",
        bins: Mapping[str, Sequence[float]] | None = None,
        intersections: int = 2,
        schema: Any = None,
        sources: str | Path | Sequence[Any] = (),
        folders: Mapping[str, str | Path] | None = None,
        text: str | Sequence[str] = (),
        entity: str | None = None,
        benchmarks: Mapping[str, Any] | None = None,
        production: Any = None,
        population: Any = None,
        population_column: str | None = None,
        annotators: str | Sequence[str] = (),
        proxies: bool = False,
        features: str | Sequence[str] = (),
    ) -> tuple[Finding, ...]:
        """Register the data sets and audit them (stage ``data``).

        Entry 0 of the ledger names the digest of ``test``: what is evaluated later must be its
        rows.

        Parameters
        ----------
        train, validation, test:
            Tables: a DataFrame, an Arrow table, a path or a glob.
        target:
            The column of labels; ``positive`` is its positive value where it does not hold 0/1.
            ``task`` says where it holds more: ``multiclass`` or ``regression``.
        sensitive:
            The columns of sensitive attributes, none where the data are about nobody; ``bins``
            cuts a number into groups, for example ``{"age": [25, 45, 65]}``.
        record_id:
            The column of record ids, by which loop items that carry one are matched.
        intersections:
            The largest number of attributes that are crossed.
        schema:
            The types under which the digests of the records are taken, as in
            ``"age: int64, sex: string"``, a mapping or an Arrow schema: the same data from CSV,
            Parquet or pandas then have the same digests. By default every field is text.
        sources:
            Where the data come from and what may be done with them: a file of schema
            ``auditor/sources/v1``, a data set's Croissant file, or sources
            (:class:`auditor.provenance.sources.Source`, or mappings of their fields).
        folders:
            Folders of anything else by name (images, documents): their files go into the record as
            one digest over names, sizes and contents, with counts by suffix.
        text:
            The columns of free text, in which near duplicates and personal data are looked for.
        entity:
            The column of what records share (a patient, a user), which must not cross the split.
        benchmarks:
            Tables by name of which no record may have been trained on.
        production:
            Records as they come in after deployment, with columns like the training data.
        population:
            A table with the shares, or counts, of the groups in the population that the data
            should stand for: columns named like the attributes, and ``population_column``.
        annotators:
            The columns with the labels of several annotators of the same record.
        proxies:
            Whether to measure how well the ``features`` (by default all other columns) predict the
            sensitive attributes; it takes a while.

        Raises :class:`InputError`.
        """
        if self._data is not None:
            raise InputError("the data are registered already", valid="one call of audit.data")
        if population_column is not None and population is None:
            raise InputError("there is no table to read it from", where="population_column=",
                             valid="population= beside it")  # fmt: skip
        roles = Roles(
            sensitive=as_names(sensitive), target=target, record_id=record_id,
            positive=label_of(positive), bins=dict(bins or {}), task=task_named(task),
        )  # fmt: skip
        options = DataOptions(
            population=_opened(population, "population="), population_column=population_column,
            annotators=as_names(annotators), proxies=proxies, features=as_names(features),
            text=as_names(text), entity=entity, production=_opened(production, "production="),
            benchmarks={
                name: open_table(table, name=None if isinstance(table, str) else name)
                for name, table in (benchmarks or {}).items()
            },
            seed=self.seed,
        )  # fmt: skip
        declared = given_sources(sources)
        data = self._data = register_tables(
            {"train": train, "validation": validation, "test": test}, roles,
            intersections=intersections, options=options, sources=declared,
            lineage=self._lineage.value, schema=schema,
        )  # fmt: skip
        self._settings = settings_of(roles, intersections)
        self._recording.register(
            **(_evaluation("test", data.manifests["test"]) if "test" in data.tables else {}),
            **self._commit_records(data),
        )
        self._recording.note(
            "data",
            {
                "tables": data.manifests,
                "target": roles.target,
                "sensitive": list(roles.sensitive),
                "record_id": roles.record_id,
                "bins": {k: list(v) for k, v in roles.bins.items()},
                **options_manifest(options),
                **folders_manifest(folders or {}),
            },
        )
        if declared:
            self._recording.note("sources", sources_body(declared))
        if self._records is not None:
            self._records.record()
        key = None if self._records is None else self._records.digest_key
        subject = data.subject(Stage.DATA, digest_key=key)
        return self._recording.measure(subject, data=data.digests())

    def _registered(self) -> RegisteredData:
        if self._data is None:
            raise InputError("no data are registered", valid="audit.data(…) before this call")
        return self._data

    def _roles(self) -> Roles:
        return Roles() if self._data is None else self._data.roles

    def derive(self, output: Any, inputs: Any, how: str | How | Mapping[str, Any]) -> None:
        """Record that a table was made of others: a step of the lineage.

        Parameters
        ----------
        output, inputs:
            A table, or several in a mapping by name. An input that is no table is the name of a
            source. Tables are identified by their content, so that what one step made and another
            took is the same node, and so are the tables of :meth:`data`.
        how:
            What was done, in a few words, or its fields: ``name``, ``kind`` (``transform``,
            ``split`` or ``load``), ``parameters``, ``seed``.

        Raises :class:`InputError` for a table that another step made, and for a cycle.
        """
        self._lineage.derive(output, inputs, how)

    def preparation(
        self, function: Any = None, *, name: str | None = None, groups: Sequence[str] = ()
    ) -> Any:
        """Observe a function that prepares data (a decorator): every call is a step of the lineage.

        Recorded are the digests and row counts of the tables that go in and come out, columns
        added and removed, rows dropped by the values of the columns ``groups``, the parameters,
        the seed, and a digest of the code that comments and layout do not change. The function
        does what it did, and returns the very object that it returned.
        """
        return self._lineage.preparation(function, name=name, groups=groups)

    @cached_property
    def _lineage(self) -> RecordedLineage:
        return RecordedLineage(self._recording)

    def _commit_records(self, data: RegisteredData) -> dict[str, str]:
        """Commit to the record ids, where there are some and the run is kept."""
        recording = self._recording
        if data.roles.record_id is None or recording.temporary is not None or recording.registered:
            return {}
        from auditor.engine.record_commitments import CommittedRecords

        self._records = CommittedRecords(recording, data, key_file=self._record_key)
        return self._records.registration()

    def _evaluate_table(
        self, table: Table, stage: Stage, changes: Mapping[str, Any]
    ) -> tuple[Finding, ...]:
        """Evaluate a table of predictions, which are those of ``test=`` where that is given."""
        data = self._data
        roles = roles_for(table.name, self._roles(), changes)
        roles.check(table)
        intersections = int(changes.get("intersections") or 2)
        groups = (
            data.groups
            if data is not None and roles.sensitive == data.roles.sensitive
            else declare_groups(
                [table], roles.sensitive, bins=roles.bins, intersections=intersections
            )
        )
        self._settings = settings_of(roles, intersections)
        manifest = table_manifest(table)
        digests = self._evaluated(table, manifest, stage, roles)
        self._recording.note("data", {"tables": {"predictions": manifest}})
        subject = (
            Subject(stage, groups, roles, predictions=table)
            if data is None
            else data.subject(stage, groups=groups, roles=roles, predictions=table)
        )
        return self._recording.measure(subject, data=digests)

    def _evaluated(
        self, table: Table, manifest: Mapping[str, Any], stage: Stage, roles: Roles
    ) -> dict[str, str]:
        """Return the digests of what is evaluated, which must be what entry 0 registered.

        Those are the rows of ``test=``, or else of the first table of predictions. Monitoring
        looks at others.
        """
        digests = {"predictions": manifest["digest"]}
        self._recording.register(**_evaluation("predictions", manifest))
        registered = None if self._data is None else self._data.tables.get("test")
        noun = "registered test data"
        if registered is None and self._predicted is not None:
            registered, noun = self._predicted[0], "records that were evaluated before"
            digests = {"predictions": self._predicted[1]}
        elif registered is not None and self._data is not None:
            digests |= self._data.digests("test")
        if stage is Stage.MONITORING:
            return {"monitored": manifest["digest"]}
        if registered is None:
            self._predicted = (table, manifest["digest"])
        elif not same_records(
            table, registered, record_id=roles.record_id, but=(roles.prediction, roles.score)
        ):
            raise InputError(
                f"these are not the predictions for the {noun}", where=table.name,
                valid=f"its {registered.rows:,} rows, in any order, beside their predictions; "
                "or stage='monitoring'",
            )  # fmt: skip
        return digests


def _evaluation(split: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what entry 0 says of the data that will be evaluated."""
    named = {"split": split, "digest": manifest["digest"], "rows": manifest["rows"]}
    return {"evaluation": named}


def _opened(source: Any, name: str) -> Table | None:
    if source is None:
        return None
    return open_table(source, name=None if isinstance(source, str) else name)
