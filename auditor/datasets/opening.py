"""The one door through which every kind of table comes in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from auditor.datasets.files import open_files
from auditor.datasets.memory import open_memory
from auditor.datasets.table import Table

__all__ = ["open_table"]


def open_table(source: Any, *, name: str | None = None) -> Table:
    """Open a table.

    Parameters
    ----------
    source:
        A pandas or polars DataFrame, an Arrow table, a mapping of names to arrays or tensors, or
        a path: a CSV (``.csv``, ``.tsv``, also ``.gz``), JSON lines, Parquet or Arrow file, a
        ``.txt`` of one text a line (the column ``text``), a folder of such files, or a glob.
    name:
        What messages call it; the path by default.

    Raises :class:`InputError` where it cannot be read.
    """
    if isinstance(source, Table):
        return source
    if isinstance(source, (str, Path)):
        return open_files(str(source), name or str(source))
    return open_memory(source, name or "the table")
