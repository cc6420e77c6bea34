"""Rendering: one record, one format, the same bytes every time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath

from auditor.errors import InputError
from auditor.ledger import RunFolder, RunRecord
from auditor.report.formats import FORMATS
from auditor.report.view import make_view

__all__ = ["format_of", "render", "write_reports"]


def render(record: RunRecord, format: str) -> bytes:
    """Return the report of a run in a format of :data:`FORMATS`: ``html``, ``md`` or ``json``.

    It can be called before the seal (the report is then bound by it, and cannot name the head) and
    after it. Raises :class:`~auditor.errors.InputError` for an unknown format, and
    :class:`~auditor.errors.RunError` for a run that cannot be read or is not intact.
    """
    return FORMATS.get(format, where="--format").render(make_view(record))


def write_reports(run: RunFolder, names: Sequence[str]) -> tuple[Path, ...]:
    """Write reports into a run that is not sealed yet; the suffix of a name is its format.

    Everything is rendered before the first file is written. Raises what :func:`render` and
    :meth:`RunFolder.write` raise.
    """
    formats = {name: format_of(name) for name in names}
    view = make_view(RunRecord.load(run.path))
    rendered = {name: FORMATS.get(format).render(view) for name, format in formats.items()}
    for name, data in rendered.items():
        run.write(name, data)
    return tuple(run.path / name for name in rendered)


def format_of(name: str) -> str:
    """Return the format that a file's suffix stands for.

    >>> format_of("report.md")
    'md'
    """
    suffix = PurePath(name).suffix
    for identifier in FORMATS:
        if FORMATS.get(identifier).suffix == suffix:
            return identifier
    valid = ", ".join(FORMATS.get(identifier).suffix for identifier in FORMATS)
    raise InputError("no report format has this suffix", where=name, valid=f"one of {valid}")
