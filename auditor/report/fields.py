"""Documents whose fields may be there or not: ``run.json``, and the bodies of ledger entries.

A report is made of records by any version, of runs that were cut short, and of what somebody may
have forged; a missing or odd field must never break it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, cast

from auditor.report.text import shown

__all__ = ["Fields"]


class Fields:
    """A JSON document that is asked by path; what is not there is ``None`` or empty.

    >>> document = Fields({"system": {"name": "Credit"}, "seed": 0})
    >>> document.text("system", "name"), document.text("seed"), document.text("code", "commit")
    ('Credit', '0', None)
    """

    def __init__(self, document: Any) -> None:
        self.document = document

    def at(self, *path: str) -> Fields:
        """Return what lies at a path, as a document of its own."""
        document = self.document
        for name in path:
            mapping = _mapping(document)
            document = None if mapping is None else mapping.get(name)
        return Fields(document)

    def __bool__(self) -> bool:
        return self.document is not None

    def text(self, *path: str, limit: int = 400) -> str | None:
        """Return a string, number or truth value as text that can be shown."""
        found = self.at(*path).document
        if isinstance(found, bool):
            return "yes" if found else "no"
        if isinstance(found, (str, int, float)) and found != "":
            return shown(found, limit=limit)
        return None

    def number(self, *path: str) -> float | None:
        """Return a finite number."""
        found = self.at(*path).document
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            return None
        return found if math.isfinite(found) else None

    def flag(self, *path: str) -> bool | None:
        """Return a truth value."""
        found = self.at(*path).document
        return found if isinstance(found, bool) else None

    def each(self, *path: str) -> Iterator[Fields]:
        """Yield the items of a list."""
        found = self.at(*path).document
        if isinstance(found, list):
            yield from map(Fields, cast("list[Any]", found))

    def pairs(self, *path: str) -> Iterator[tuple[str, Fields]]:
        """Yield the names and values of a mapping, by name."""
        for name, value in sorted((_mapping(self.at(*path).document) or {}).items()):
            yield str(name), Fields(value)

    def texts(self, *path: str) -> tuple[str, ...]:
        """Return the texts of a list, or the one text that stands there."""
        single = self.text(*path)
        if single is not None:
            return (single,)
        return tuple(text for item in self.each(*path) if (text := item.text()) is not None)


def _mapping(document: Any) -> Mapping[str, Any] | None:
    return cast("Mapping[str, Any]", document) if isinstance(document, Mapping) else None
