"""What a Croissant file says, as values: files, record sets, sources, and what RAI asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from auditor.provenance.lineage import Lineage
from auditor.provenance.sources import Source

__all__ = ["Croissant", "File", "RecordSet"]


@dataclass(frozen=True, slots=True)
class File:
    """A file of the data set; ``sha256`` is 64 hex digits."""

    name: str
    sha256: str | None = None
    bytes: int | None = None
    encoding: tuple[str, ...] = ()
    url: str | None = None


@dataclass(frozen=True, slots=True)
class RecordSet:
    """A table of the data set.

    ``types`` are the columns and their types (Croissant's, Arrow's or DuckDB's names; ``None`` is
    not recorded), ``files`` those that hold the rows, ``digest`` that of the rows.
    """

    name: str
    types: Mapping[str, str | None]
    rows: int | None = None
    files: tuple[File, ...] = ()
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Croissant:
    """A data set: what it is called and holds, where it comes from, and how it was made.

    ``licence`` is an SPDX expression, ``rai`` the properties of the RAI vocabulary by name.
    """

    name: str
    description: str | None = None
    url: str | None = None
    licence: str | None = None
    record_sets: tuple[RecordSet, ...] = ()
    files: tuple[File, ...] = ()
    sources: tuple[Source, ...] = ()
    lineage: Lineage = field(default_factory=Lineage)
    rai: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
