"""As much of JSON-LD as Croissant files use: prefixes and aliases of keys, offline and bounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from auditor.errors import InputError
from auditor.provenance.croissant.vocabulary import CONTEXT, NAMESPACES

__all__ = ["Node", "compacted", "items", "text_of", "texts_of"]

Node = dict[str, Any]
"""An object whose keys are ``name`` (schema.org and Croissant) or ``rai:name``, ``prov:name``."""

_DEEPEST = 64
_VERBATIM = frozenset({"data", "examples"})


def compacted(document: Mapping[str, Any], *, where: str) -> Node:
    """Return the document with every key in one spelling; raises :class:`InputError`.

    ``sc:name``, ``https://schema.org/name`` and ``name`` are one; a key of a vocabulary that is
    not Croissant's own keeps its prefix. Contexts are never fetched: one that is named by its
    address stands for Croissant's own.
    """
    context = document.get("@context")
    words: dict[str, str] = {}
    if isinstance(context, Mapping):
        for key, value in cast("Mapping[str, Any]", context).items():
            address = cast("Mapping[str, Any]", value).get("@id") if isinstance(
                value, Mapping) else value  # fmt: skip
            if isinstance(address, str):
                words[key] = address
    elif context is None:
        raise InputError("there is no @context", where=where, valid="Croissant's JSON-LD context")
    known = {name: value for name, value in CONTEXT.items() if isinstance(value, str)}
    return _Reader(known | words, where).node(document, "the data set", 0)


class _Reader:
    """Walks a document; ``words`` are the prefixes and aliases of its context."""

    def __init__(self, words: Mapping[str, str], where: str) -> None:
        self.words, self.where = words, where

    def node(self, document: Mapping[str, Any], place: str, depth: int) -> Node:
        found: Node = {}
        for key, value in document.items():
            if key == "@context":
                continue
            name = key if key.startswith("@") else self.name(key)
            if name in found:
                raise InputError(f"{place}: {name!r} is said twice", where=self.where)
            found[name] = value if name in _VERBATIM else self.value(value, name, depth + 1)
        return found

    def value(self, value: Any, place: str, depth: int) -> Any:
        if depth > _DEEPEST:
            raise InputError(f"nested deeper than {_DEEPEST} levels", where=self.where)
        if isinstance(value, Mapping):
            return self.node(cast("Mapping[str, Any]", value), place, depth)
        if isinstance(value, list):
            return [self.value(item, place, depth + 1) for item in cast("list[Any]", value)]
        return value

    def name(self, key: str) -> str:
        address = self.words.get(key, key)
        prefix, colon, rest = address.partition(":")
        if colon and not rest.startswith("//") and prefix in self.words:
            address = self.words[prefix] + rest
        for namespace, short in NAMESPACES.items():
            if address.startswith(namespace):
                local = address[len(namespace) :]
                return local if short in {"sc", "cr", "dct"} else f"{short}:{local}"
        return address


def items(value: Any) -> list[Any]:
    """Return what may be one or many as a list; nothing is empty."""
    if value is None:
        return []
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def text_of(value: Any) -> str | None:
    """Return a text, whether it is plain, has a language, or is the first of several."""
    return next(_texts(value), None)


def texts_of(value: Any) -> tuple[str, ...]:
    """Return all texts of a value."""
    return tuple(_texts(value))


def _texts(value: Any) -> Iterator[str]:
    for item in items(value):
        if isinstance(item, bool):
            yield "true" if item else "false"
        elif isinstance(item, (str, int, float)):
            yield str(item)
        elif isinstance(item, Mapping):
            mapping = cast("Mapping[str, Any]", item)
            spoken = [mapping[k] for k in ("@value", "@id", "url", "name") if k in mapping]
            for found in spoken[:1] or list(mapping.values()):
                if isinstance(found, str):
                    yield found
