"""Declarations written by people: small YAML or JSON files of plain values, read with limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from auditor.documents import read_document
from auditor.errors import InputError

__all__ = ["MOST_BYTES", "read_bytes", "read_json_text", "read_yaml"]

MOST_BYTES = 1 << 20


def read_bytes(path: Path, *, most: int = MOST_BYTES) -> bytes:
    """Read a file that is not larger than ``most`` bytes; raises :class:`InputError`."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"the file cannot be read: {reason}", where=str(path), valid="the path of a file"
        ) from None
    if len(data) > most:
        raise InputError(
            f"the file is larger than {most:,} bytes", where=str(path), valid=f"{most:,} at most"
        )
    return data


def read_yaml(data: bytes, *, where: str) -> Any:
    """Read one YAML document of plain values; raises :class:`InputError` with line and column.

    Scalars follow YAML 1.2's JSON-like schema, so that a country ``NO`` and a date stay text; see
    :func:`auditor.documents.read_document` for the limits.

    >>> read_yaml(b"a: [1, yes, 2020-01-01, null]", where="a.yaml")
    {'a': [1, 'yes', '2020-01-01', None]}
    """
    return read_document(data, where=where).native()


def read_json_text(data: bytes, *, where: str) -> Any:
    """Read JSON strictly: UTF-8, no key twice, no NaN, finite depth; raises :class:`InputError`."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"the key {twice!r} occurs twice")
        return found

    def refuse(word: str) -> Any:
        raise ValueError(f"{word} is no JSON number")

    try:
        return json.loads(data.decode("utf-8-sig"), object_pairs_hook=once, parse_constant=refuse)
    except RecursionError:
        raise InputError("not JSON: nested too deeply", where=where) from None
    except ValueError as error:
        raise InputError(f"not JSON: {error}", where=where) from None
