"""YAML read into a tree that knows its lines and columns, with limits on what a file may hold.

Scalars stay the text that stands in the file; what a text means is decided by who reads it. So
``version: 1.10`` does not become 1.1, and a country ``NO`` does not become false.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from auditor.errors import PolicyError

__all__ = ["MOST_BYTES", "Key", "Node", "read_document", "resolved_scalar"]

MOST_BYTES = 1 << 20
MOST_VALUES = 50_000
DEEPEST = 32

# What YAML allows in a file, less the surrogates, which no UTF-8 can hold.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a mapping and where it stands."""

    text: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it begins (line and column from 1).

    ``value`` is the text of a scalar (``None`` for a plain ``null``, ``~`` or nothing), a list of
    nodes, or a mapping from the text of a key to the key and its node. ``size`` counts the values
    in it, those that aliases repeat included. ``plain`` is a scalar without quotes.
    """

    value: str | list[Node] | dict[str, tuple[Key, Node]] | None
    line: int
    column: int
    size: int = 1
    plain: bool = False

    @property
    def noun(self) -> str:
        """What this is, for messages."""
        if isinstance(self.value, dict):
            return "a mapping"
        if isinstance(self.value, list):
            return "a list"
        text = "nothing" if self.value is None else f"{self.value!r}"
        return text if len(text) <= 80 else f"{text[:79]}…"

    def text(self) -> Any:
        """Return plain Python values whose scalars are texts or ``None``."""
        if isinstance(self.value, dict):
            return {key: child.text() for key, (_, child) in self.value.items()}
        if isinstance(self.value, list):
            return [child.text() for child in self.value]
        return self.value

    def native(self) -> Any:
        """Return plain Python values: numbers, ``true``, ``false`` and ``null`` as in JSON."""
        if isinstance(self.value, dict):
            return {key: child.native() for key, (_, child) in self.value.items()}
        if isinstance(self.value, list):
            return [child.native() for child in self.value]
        return resolved_scalar(self.value) if self.plain and self.value is not None else self.value

    def at(self, path: Sequence[str | int]) -> Node:
        """Return the deepest node on a path of keys and positions that exists."""
        node = self
        for step in path:
            if isinstance(node.value, dict) and step in node.value:
                node = node.value[str(step)][1]
            elif isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
        return node

    def names(self) -> Iterator[Key]:
        """Yield the keys of a mapping."""
        if isinstance(self.value, dict):
            for key, _ in self.value.values():
                yield key

    def key(self, text: str) -> Key | None:
        """Return a key of a mapping."""
        return self.value[text][0] if isinstance(self.value, dict) and text in self.value else None


def read_document(data: bytes, *, where: str) -> Node:
    """Read one YAML document; raises :class:`PolicyError` with ``where:line:column``.

    Refused are files beyond 1 MiB, text that is not UTF-8, duplicate keys, tags, more than 32
    levels, and aliases that repeat themselves or expand to more than 50,000 values.

    >>> node = read_document(b"id: a\\nrules:\\n  - {x: 1}\\n", where="p.yaml")
    >>> node.text(), node.at(["rules", 0, "x"]).line, node.at(["rules", 0, "x"]).column
    ({'id': 'a', 'rules': [{'x': '1'}]}, 3, 9)
    """
    if len(data) > MOST_BYTES:
        raise PolicyError(
            f"the file has {len(data):,} bytes", where=f"{where}:1:1", valid="1 MiB at most"
        )
    text = _decoded(data, where)
    return _Composer(text, where).document()


def _decoded(data: bytes, where: str) -> str:
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        raise PolicyError(
            f"byte 0x{data[error.start]:02x} is not UTF-8", where=_place(where, before),
            valid="a text file in UTF-8",
        ) from None  # fmt: skip
    if forbidden := _FORBIDDEN.search(text):
        raise PolicyError(
            f"the character U+{ord(forbidden[0]):04X} may not stand in YAML",
            where=_place(where, text[: forbidden.start()]),
        )
    return text


def _place(where: str, before: str) -> str:
    lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", before)
    return f"{where}:{len(lines)}:{len(lines[-1]) + 1}"


class _Composer:
    """Builds the tree from YAML's events, without recursion into what it has not yet limited."""

    def __init__(self, text: str, where: str) -> None:
        self.where = where
        self.text = text
        self.anchors: dict[str, Node | None] = {}
        self.total = 0
        self.events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)

    def fail(self, what: str, at: Any, *, valid: str | None = None) -> NoReturn:
        """Raise an error at an event, a key or a node."""
        mark = getattr(at, "start_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (at.line, at.column)
        raise PolicyError(what, where=f"{self.where}:{line}:{column}", valid=valid)

    def next(self) -> Any:
        """Return the next event; a syntax error becomes a :class:`PolicyError`."""
        try:
            return next(self.events)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line, mark.column) if mark else (0, 0)
            what, valid = error.problem or error.context or "not YAML", None
            lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", self.text)
            if line < len(lines) and "\t" in re.match(r"\s*", lines[line])[0]:  # type: ignore[index]
                what, valid = "a tab is used to indent", "indent by spaces"
            where = f"{self.where}:{line + 1}:{column + 1}"
            raise PolicyError(f"not YAML: {what}", where=where, valid=valid) from None
        except yaml.YAMLError as error:
            raise PolicyError(f"not YAML: {error}", where=f"{self.where}:1:1") from None
        except (ValueError, OverflowError) as error:  # an escape beyond the last character
            raise PolicyError(f"not YAML: {error}", where=f"{self.where}:1:1") from None

    def document(self) -> Node:
        """Compose the only document."""
        self.next()
        first = self.next()
        if isinstance(first, yaml.StreamEndEvent):
            raise PolicyError(
                "the file is empty", where=f"{self.where}:1:1", valid="a document in YAML"
            )
        root = self.node(self.next(), 0)
        self.next()
        if not isinstance(after := self.next(), yaml.StreamEndEvent):
            self.fail("a second document begins here", after, valid="one document a file")
        return root

    def node(self, event: Any, depth: int) -> Node:
        """Compose the value that begins with an event."""
        if depth > DEEPEST:
            self.fail(f"nested deeper than {DEEPEST} levels", event)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        self.count(1, event)
        if event.tag not in (None, "!"):
            self.fail(f"the tag {event.tag} is not used here", event, valid="plain values")
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = self.scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self.sequence(event, depth)
        else:
            node = self.mapping(event, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def alias(self, event: Any) -> Node:
        """Repeat what an anchor holds, at the place of the alias."""
        node = self.anchors.get(event.anchor)
        if node is None:
            inside = event.anchor in self.anchors
            what = "stands inside its own anchor" if inside else "has no anchor before it"
            self.fail(f"the alias *{event.anchor} {what}", event)
        self.count(node.size, event)
        return node

    def count(self, size: int, event: Any) -> None:
        """Count values, those that aliases repeat included."""
        self.total += size
        if self.total > MOST_VALUES:
            bomb = isinstance(event, yaml.AliasEvent)
            self.fail(
                f"aliases expand to more than {MOST_VALUES:,} values (an alias bomb)"
                if bomb else f"more than {MOST_VALUES:,} values", event,
                valid="values written out, without nested aliases" if bomb else None,
            )  # fmt: skip

    def scalar(self, event: Any) -> Node:
        """Keep the text of a scalar."""
        text: str = event.value
        if _SURROGATE.search(text):
            self.fail("a lone surrogate is no character", event)
        plain = event.style in (None, "") and event.tag is None
        value = None if plain and text in {"", "~", "null", "Null", "NULL"} else text
        mark = event.start_mark
        return Node(value, mark.line + 1, mark.column + 1, plain=plain)

    def sequence(self, event: Any, depth: int) -> Node:
        """Compose a list."""
        children: list[Node] = []
        while not isinstance(item := self.next(), yaml.SequenceEndEvent):
            children.append(self.node(item, depth + 1))
        mark = event.start_mark
        size = 1 + sum(child.size for child in children)
        return Node(children, mark.line + 1, mark.column + 1, size)

    def mapping(self, event: Any, depth: int) -> Node:
        """Compose a mapping; keys are scalars and occur once."""
        children: dict[str, tuple[Key, Node]] = {}
        while not isinstance(item := self.next(), yaml.MappingEndEvent):
            if not isinstance(item, yaml.ScalarEvent):
                self.fail("a key is a list, a mapping or an alias", item, valid="a word as the key")
            name = self.scalar(item)
            key = Key(item.value, name.line, name.column)
            if key.text in children:
                first = children[key.text][0]
                self.fail(f"the key {key.text!r} stands in line {first.line} already", key)
            children[key.text] = (key, self.node(self.next(), depth + 1))
        mark = event.start_mark
        size = 1 + sum(child.size for _, child in children.values())
        return Node(children, mark.line + 1, mark.column + 1, size)


_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def resolved_scalar(text: str) -> str | int | float | bool:
    """Read a plain scalar as YAML 1.2's JSON-like schema does."""
    if text in {"true", "false"}:
        return text == "true"
    if len(text) <= 18 and _INTEGER.fullmatch(text):
        return int(text)
    if len(text) <= 64 and _FLOAT.fullmatch(text):
        number = float(text)
        return number if abs(number) < float("inf") else text
    return text
