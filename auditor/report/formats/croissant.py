"""Croissant: the data of a run described for machines, from what its ledger holds of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from auditor.errors import InputError
from auditor.evidence import canonical_json
from auditor.ledger import RunRecord
from auditor.provenance.croissant import Croissant, File, RecordSet, write_croissant
from auditor.provenance.lineage import lineage_of
from auditor.provenance.sources import Source, sources_from_body
from auditor.report.fields import Fields
from auditor.report.formats.format import FORMATS, Format
from auditor.report.view import ReportView

__all__ = ["recorded_dataset", "render_croissant"]


def render_croissant(view: ReportView) -> bytes:
    """Return the data of a run as canonical JSON-LD and a newline."""
    record = view.record
    if record is None:
        raise InputError("this view of a run does not hold its ledger", where="croissant")
    return canonical_json(write_croissant(recorded_dataset(record))) + b"\n"


def recorded_dataset(record: RunRecord) -> Croissant:
    """Gather the data sets, sources and steps that the ledger of a run holds.

    What cannot be read is left out, and named under ``rai:dataLimitations``.
    """
    entries = [(entry.type, entry.body) for entry in record.ledger.entries]
    tables = tuple(_tables(body for kind, body in entries if kind == "data"))
    sources, problems = _sources([body for kind, body in entries if kind == "sources"])
    lineage, broken = lineage_of(body for kind, body in entries if kind == "derivation")
    run = Fields(record.run)
    limits = tuple(f"Not readable in the record: {text}" for text in (*problems, *broken))
    about = run.text("system", "purpose", limit=2_000)
    return Croissant(
        name=run.text("system", "name") or record.name,
        description=f"The data of the run {record.name}." + (f" {about}" if about else ""),
        record_sets=tables, sources=sources, lineage=lineage,
        rai={"dataLimitations": limits} if limits else {},
    )  # fmt: skip


def _sources(bodies: Sequence[Any]) -> tuple[tuple[Source, ...], list[str]]:
    """Read every source once; the last that is said of a name holds."""
    found: dict[str, Source] = {}
    problems: list[str] = []
    for number, body in enumerate(bodies, 1):
        try:
            found |= {s.name: s for s in sources_from_body(body, where=f"sources {number}")}
        except (InputError, RecursionError) as error:
            problems.append(str(error))
    return tuple(found.values()), problems


def _tables(bodies: Iterator[Any]) -> Iterator[RecordSet]:
    for body in bodies:
        for split, table in Fields(body).pairs("tables"):
            rows = table.number("rows")
            named = {name: kind.text() for name, kind in table.pairs("types")}
            columns = table.at("columns").document
            listed = [str(name) for name in columns] if isinstance(columns, list) else []
            yield RecordSet(
                name=split, types={name: named.get(name) for name in listed or named},
                rows=None if rows is None or rows < 0 else int(rows),
                files=tuple(_files(table)), digest=_plain(table, "digest"),
            )  # fmt: skip


def _files(table: Fields) -> Iterator[File]:
    for file in table.each("files"):
        name = _plain(file, "name")
        if name is None:
            continue
        size = file.number("bytes")
        yield File(name, _sha256(file), None if size is None or size < 0 else int(size))


def _sha256(file: Fields) -> str | None:
    """Return the SHA-256 of a file, under its own name or as its digest; no other is one."""
    for key in ("sha256", "digest"):
        text = (_plain(file, key) or "").lower()
        found = re.fullmatch(r"(?:sha256:)?([0-9a-f]{64})", text)
        if found is not None:
            return found[1]
    return None


def _plain(fields: Fields, name: str) -> str | None:
    found = fields.at(name).document
    return found if isinstance(found, str) and found else None


FORMATS.add(
    "croissant",
    Format(".jsonld", "for machines: the data sets, as Croissant 1.1", render_croissant),
)
