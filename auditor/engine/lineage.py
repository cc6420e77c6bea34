"""How the data of an audit were made, as its ledger tells it step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from auditor.datasets import open_table
from auditor.engine.datasets import content_manifest
from auditor.engine.recording import Recording
from auditor.errors import InputError
from auditor.provenance.lineage import GROUP_ROWS_SCHEMA, Data, Derivation, How, Lineage
from auditor.provenance.preparation import preparation
from auditor.provenance.sources import Source

__all__ = ["RecordedLineage"]


class RecordedLineage:
    """The lineage so far; every step is an entry of the ledger, after entry 0."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self.value = Lineage()

    def derive(self, output: Any, inputs: Any, how: str | How | Mapping[str, Any]) -> None:
        """Record a step; see :meth:`auditor.Audit.derive`."""
        fields: Any = {"name": how} if isinstance(how, str) else how
        if not isinstance(fields, (How, Mapping)):
            raise InputError(f"{how!r} says not how", where="how=", valid="words, or a mapping")
        step = Derivation(
            inputs=tuple(_data(name, table) for name, table in _named(inputs, "input")),
            outputs=tuple(_data(name, table) for name, table in _named(output, "output")),
            how=fields if isinstance(fields, How) else How.from_json(dict(fields), where="how="),
        )
        if not step.outputs:
            raise InputError("a step makes something", where="output=", valid="a table")
        self.value = self.value.add(step, undeclared="begin")
        self._note(step.to_json())

    def preparation(self, function: Any, *, name: str | None, groups: Sequence[str]) -> Any:
        """Observe a function; see :meth:`auditor.Audit.preparation`."""
        return preparation(function, record=self._record, digest=_digest, name=name, groups=groups)

    def _record(self, body: dict[str, Any]) -> None:
        """Take a step that a function made; one that fits nowhere is recorded all the same."""
        if self._recording.closed:
            return
        try:
            self.value = self.value.add(Derivation.from_json(body), undeclared="begin")
        except InputError as error:
            body = {**body, "how": {**body["how"], "error": f"not in the graph: {error}"[:200]}}
        self._note(body)

    def _note(self, body: dict[str, Any]) -> None:
        """Write a step into the ledger; rows by group go to a document that can be withheld."""
        how = dict(body["how"])
        groups = how.pop("groups", {})
        self._recording.note_early("derivation", {**body, "how": how})
        if groups:
            rows = [
                [column, row["value"], row["before"], row["after"]]
                for column, listed in groups.items()
                for row in listed
            ]
            document = {"schema": GROUP_ROWS_SCHEMA, "step": how["name"], "rows": rows}
            digest = self._recording.folder.put_evidence(document)
            self._recording.note_early("derivation-groups", {"step": how["name"],
                                                             "evidence": digest})  # fmt: skip


def _digest(table: Any) -> str:
    return content_manifest(open_table(table)).ordered_root


def _named(given: Any, noun: str) -> list[tuple[str, Any]]:
    """Return what one argument names: a table, a source's name, or several of them."""
    if isinstance(given, Mapping):
        items = cast("Mapping[Any, Any]", given)
        if all(not isinstance(value, (list, tuple)) for value in items.values()):
            return [(str(name), value) for name, value in items.items()]
    if isinstance(given, (list, tuple)):
        listed = cast("Sequence[Any]", given)
        return [(f"{noun} {i}", value) for i, value in enumerate(listed, 1)]
    return [(noun, given)]


def _data(name: str, given: Any) -> Data:
    """Identify a table by its content, and a source by its name."""
    if isinstance(given, Data):
        return given
    if isinstance(given, Source):
        return Data(id=f"source:{given.name}", name=given.name, kind="source", rows=given.rows)
    if isinstance(given, str) and not given.strip():
        raise InputError("a table or a source without a name", where=name)
    if isinstance(given, str) and not Path(given).exists():
        return Data(id=f"source:{given}"[:200], name=given[:200], kind="source")
    table = open_table(given)
    plain = isinstance(given, (str, Path)) and name.split()[0] in ("input", "output")
    shown = Path(str(given)).name if plain else name
    return Data(id=content_manifest(table).ordered_root, name=shown[:200], rows=table.rows)
