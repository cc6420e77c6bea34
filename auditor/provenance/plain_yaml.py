"""Declarations written by people: small YAML or JSON files of plain values, read with limits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from auditor.errors import InputError

__all__ = ["MOST_BYTES", "read_bytes", "read_json_text", "read_yaml"]

MOST_BYTES = 1 << 20
_MOST_VALUES = 50_000
_DEEPEST = 16
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?([0-9]{1,40}\.[0-9]{0,40}|\.[0-9]{1,40})([eE][-+]?[0-9]{1,3})?")


def read_bytes(path: Path, *, most: int = MOST_BYTES) -> bytes:
    """Read a file that is not larger than ``most`` bytes; raises :class:`InputError`."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"the file cannot be read: {reason}", where=str(path)) from None
    if len(data) > most:
        raise InputError(
            f"the file is larger than {most:,} bytes", where=str(path), valid=f"{most:,} at most"
        )
    return data


def read_yaml(data: bytes, *, where: str) -> Any:
    """Read one YAML document of plain values; raises :class:`InputError` with line and column.

    Scalars follow YAML 1.2's JSON-like schema, so that a country ``NO`` and a date stay text.
    Refused are tags, anchors and aliases, keys that occur twice, more than 16 levels, more than
    50,000 values, and text that is not UTF-8.

    >>> read_yaml(b"a: [1, yes, 2020-01-01, null]", where="a.yaml")
    {'a': [1, 'yes', '2020-01-01', None]}
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"byte {error.start:,} is not UTF-8", where=where) from None
    reader = _Events(text, where)
    return reader.document()


class _Events:
    """Builds plain values from YAML's events; nothing is constructed that YAML names itself."""

    def __init__(self, text: str, where: str) -> None:
        self.where, self.values = where, 0
        self.events: Iterator[Any] = yaml.parse(text, Loader=yaml.SafeLoader)

    def fail(self, what: str, event: Any, valid: str | None = None) -> InputError:
        mark = event.start_mark
        place = f"{self.where}:{mark.line + 1}:{mark.column + 1}" if mark else self.where
        return InputError(what, where=place, valid=valid)

    def next(self) -> Any:
        try:
            return next(self.events)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = f"{self.where}:{mark.line + 1}:{mark.column + 1}" if mark else self.where
            raise InputError(f"not YAML: {error.problem or error.context}", where=place) from None
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"not YAML: {reason}", where=self.where) from None

    def document(self) -> Any:
        self.next()
        if isinstance(self.next(), yaml.StreamEndEvent):
            raise InputError("the file is empty", where=self.where)
        value = self.value(self.next(), 0)
        self.next()
        if not isinstance(after := self.next(), yaml.StreamEndEvent):
            raise self.fail("a second document begins here", after, "one document a file")
        return value

    def value(self, event: Any, depth: int) -> Any:
        self.values += 1
        if self.values > _MOST_VALUES:
            raise self.fail(f"more than {_MOST_VALUES:,} values", event)
        if depth > _DEEPEST:
            raise self.fail(f"nested deeper than {_DEEPEST} levels", event)
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise self.fail("anchors and aliases are not used here", event, "values written out")
        if event.tag not in (None, "!"):
            raise self.fail(f"the tag {event.tag} is not used here", event, "plain values")
        if isinstance(event, yaml.ScalarEvent):
            plain = event.style in (None, "") and event.tag is None
            return _resolved(event.value) if plain else event.value
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(item := self.next(), yaml.SequenceEndEvent):
                items.append(self.value(item, depth + 1))
            return items
        mapping: dict[str, Any] = {}
        while not isinstance(key := self.next(), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent):
                raise self.fail("a key is no text", key, "a word as the key")
            if key.value in mapping:
                raise self.fail(f"the key {key.value!r} occurs twice", key)
            mapping[key.value] = self.value(self.next(), depth + 1)
        return mapping


def _resolved(text: str) -> Any:
    if text in _NULLS:
        return None
    if text in {"true", "false"}:
        return text == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


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
