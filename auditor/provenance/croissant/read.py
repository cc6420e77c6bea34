"""A Croissant file read strictly: what it says, or what is wrong with it, in one line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast
from urllib.parse import unquote

from auditor.errors import InputError, nearest
from auditor.provenance.croissant.document import Croissant, File, RecordSet
from auditor.provenance.croissant.json_ld import Node, compacted, items, text_of, texts_of
from auditor.provenance.croissant.vocabulary import (
    CONFORMS_TO,
    CROISSANT_TYPES,
    PROV_TERMS,
    RAI_ALIASES,
    RAI_PROPERTIES,
)
from auditor.provenance.croissant.write import SOURCE_PREFIX
from auditor.provenance.declarations import read_json_text
from auditor.provenance.licences import licence_from_text
from auditor.provenance.sources import Source

__all__ = ["MOST_CROISSANT_BYTES", "read_croissant"]

MOST_CROISSANT_BYTES = 1 << 24
_DIGESTS = {"sha256": 64, "md5": 32}
_OWN = {"FileObject", "FileSet", "RecordSet", "Field"}


def read_croissant(data: bytes | Mapping[str, Any], *, where: str) -> Croissant:
    """Read a Croissant file of version 1.0 or 1.1; raises :class:`InputError`.

    Refused are properties that RAI or PROV-O do not have, digests that are no hex digits of their
    length, files without one (unless the data set is live), ids that occur twice, and references
    to what is not there. Nothing is fetched. ``sources`` are those that :func:`write_croissant`
    wrote; of another's file it is the data set itself, with what it says.
    """
    document = data if isinstance(data, Mapping) else _parsed(data, where)
    node = compacted(document, where=where)
    fail = _failure(where)
    if "Dataset" not in {_local(kind) for kind in texts_of(node.get("@type"))}:
        raise fail("it describes no data set", "@type: sc:Dataset")
    if not set(CONFORMS_TO) & set(texts_of(node.get("conformsTo"))):
        raise fail("it conforms to no version that is known", f"conformsTo: {CONFORMS_TO[0]}")
    name = text_of(node.get("name"))
    if not name:
        raise fail("the data set has no name", "name: a text")
    _check_words(node, fail)
    files = {item["@id"]: _file(item, node, fail) for item in _objects(node, "distribution", fail)}
    tables = list(_objects(node, "recordSet", fail))
    _check_references(node, tables, fail)
    licences = [licence_from_text(text) for text in texts_of(node.get("license"))]
    licence = None if not licences or None in licences else _joined(licences)
    rai = {
        RAI_ALIASES.get(key[4:], key[4:]): texts_of(value)
        for key, value in node.items()
        if key.startswith("rai:")
    }
    found = Croissant(
        name=name, description=text_of(node.get("description")), url=text_of(node.get("url")),
        licence=licence, record_sets=tuple(_record_set(t, files, fail) for t in tables),
        files=tuple(files.values()), rai=rai, sources=tuple(_sources(node, where)),
    )  # fmt: skip
    return found if found.sources else _with_itself(found, node, where)


Fail = Callable[..., InputError]


def _failure(where: str) -> Fail:
    def fail(what: str, valid: str | None = None) -> InputError:
        return InputError(what, where=where, valid=valid)

    return fail


def _parsed(data: bytes, where: str) -> Mapping[str, Any]:
    if len(data) > MOST_CROISSANT_BYTES:
        raise InputError(
            f"the file has {len(data):,} bytes", where=where, valid=f"{MOST_CROISSANT_BYTES:,}"
        )
    document = read_json_text(data, where=where)
    if not isinstance(document, dict):
        raise InputError("not a JSON object", where=where, valid="a Croissant file")
    return cast("dict[str, Any]", document)


def _walk(node: Any) -> Iterator[Node]:
    """Yield every object of a document; its depth is bounded already."""
    if isinstance(node, list):
        for item in cast("list[Any]", node):
            yield from _walk(item)
    elif isinstance(node, dict):
        found = cast("Node", node)
        yield found
        for key, value in found.items():
            if key not in {"data", "examples"}:
                yield from _walk(value)


def _check_words(root: Node, fail: Fail) -> None:
    """Hold the words of RAI and PROV-O, and every digest, against what there is."""
    rai, seen = RAI_PROPERTIES | set(RAI_ALIASES), set[str]()
    for node in _walk(root):
        for key, value in node.items():
            prefix, _, word = key.partition(":")
            if prefix == "rai" and word not in rai:
                raise fail(f"RAI has no property {key!r}", nearest(word, sorted(rai)))
            if prefix == "prov" and word not in PROV_TERMS:
                raise fail(f"PROV-O has no term {key!r}", nearest(word, sorted(PROV_TERMS)))
            if (length := _DIGESTS.get(key)) is not None:
                text = text_of(value) or ""
                if not re.fullmatch(rf"[0-9a-fA-F]{{{length}}}", text):
                    raise fail(f"{key}: {text[:80]!r} is no digest", f"{length} hex digits")
        identifier = node.get("@id")
        if _OWN & {_local(text) for text in texts_of(node.get("@type"))} and identifier is not None:
            if not isinstance(identifier, str) or identifier in seen:
                raise fail(f"the @id {identifier!r} is given twice", "an @id of its own for each")
            seen.add(identifier)
    for value in texts_of(root.get("rai:hasSyntheticData")):
        if value.lower() not in {"true", "false"}:
            raise fail(f"rai:hasSyntheticData: {value[:80]!r} is not valid", "true or false")


def _objects(node: Node, key: str, fail: Fail) -> Iterator[Node]:
    for item in items(node.get(key)):
        if not isinstance(item, dict):
            raise fail(f"{key}: {str(item)[:80]!r} is no object", "an object with @type and @id")
        found = cast("Node", item)
        if not isinstance(found.get("@id"), str) or not found["@id"]:
            raise fail(f"{key}: an object has no @id", "an @id of its own for each")
        yield found


def _file(item: Node, root: Node, fail: Fail) -> File:
    name: str = item["@id"]
    kind = {_local(text) for text in texts_of(item.get("@type"))}
    if not kind & {"FileObject", "FileSet"}:
        raise fail(f"distribution: {name!r} is no file", "@type: cr:FileObject or cr:FileSet")
    sha256 = text_of(item.get("sha256"))
    whole = "FileObject" in kind and "containedIn" not in item
    live = root.get("isLiveDataset") is True
    if whole and sha256 is None and "md5" not in item and not live:
        raise fail(f"the file {name!r} has no digest", "sha256: 64 hex digits")
    if whole and not text_of(item.get("contentUrl")):
        raise fail(f"the file {name!r} has no contentUrl", "where the file lies")
    size = re.fullmatch(r"(\d{1,15})(?: ?B)?", text_of(item.get("contentSize")) or "")
    return File(
        name=text_of(item.get("name")) or name,
        sha256=None if sha256 is None else sha256.lower(),
        bytes=None if size is None else int(size[1]),
        encoding=texts_of(item.get("encodingFormat")), url=text_of(item.get("contentUrl")),
    )  # fmt: skip


def _check_references(root: Node, tables: list[Node], fail: Fail) -> None:
    """Check that fields take their values from files and fields that are described."""
    there = {item["@id"] for item in _objects(root, "distribution", fail)}
    there |= {node["@id"] for table in tables for node in _walk(table)
              if "@type" in node and isinstance(node.get("@id"), str)}  # fmt: skip
    for table in tables:
        for node in _walk(table):
            for key in ("fileObject", "fileSet", "recordSet"):
                for target in items(node.get(key)):
                    name = text_of(target)
                    if name is not None and name not in there:
                        raise fail(f"{key}: there is no {name!r}", nearest(name, sorted(there)))


def _record_set(item: Node, files: Mapping[str, File], fail: Fail) -> RecordSet:
    name: str = item["@id"]
    types: dict[str, str | None] = {}
    used: list[str] = []
    for field in _objects(item, "field", fail):
        label = text_of(field.get("name")) or field["@id"].removeprefix(f"{name}/")
        kinds = texts_of(field.get("dataType"))
        for kind in kinds:
            word = _local(kind)
            if re.match(r"cr:|http://mlcommons\.org/croissant/", kind) and (
                word not in CROISSANT_TYPES
            ):
                raise fail(f"Croissant has no type {kind!r}", nearest(word, CROISSANT_TYPES))
        types[label] = kinds[0] if kinds else None
        for node in _walk(field.get("source")):
            used += [target for key in ("fileObject", "fileSet") if (target := text_of(
                node.get(key))) is not None]  # fmt: skip
    held = tuple(files[target] for target in dict.fromkeys(used) if target in files)
    return RecordSet(name=text_of(item.get("name")) or name, types=types, files=held)


def _local(text: str) -> str:
    return re.split(r"[/#:]", text)[-1]


def _joined(licences: list[str | None]) -> str:
    """Join licences that are all named: all of them are to be kept."""
    distinct = list(dict.fromkeys(text for text in licences if text))
    if len(distinct) == 1:
        return distinct[0]
    return " AND ".join(f"({text})" if " OR " in text else text for text in distinct)


def _sources(node: Node, where: str) -> Iterator[Source]:
    """Yield the sources that were written by :func:`write_croissant`."""
    for item in items(node.get("prov:wasDerivedFrom")):
        entity = cast("Node", item) if isinstance(item, dict) else {}
        identifier = entity.get("@id")
        if not isinstance(identifier, str) or not identifier.startswith(SOURCE_PREFIX):
            continue
        name = unquote(identifier.removeprefix(SOURCE_PREFIX))
        fields: dict[str, Any] = {
            "name": name,
            "description": text_of(entity.get("abstract")),
            "licence": text_of(entity.get("license")),
            "origin": text_of(entity.get("url")),
            "collected": _collected(text_of(entity.get("temporalCoverage"))),
        }
        for pair in items(entity.get("additionalProperty")):
            found = cast("Node", pair) if isinstance(pair, dict) else {}
            key, value = text_of(found.get("propertyID")), text_of(found.get("value"))
            if key in fields:
                raise InputError(f"source {name!r} says {key} twice", where=where)
            if key is not None and value is not None:
                fields[key] = read_json_text(value.encode(), where=f"{where}, source {name}, {key}")
        given = {key: value for key, value in fields.items() if value is not None}
        yield Source.from_json(given, where=f"{where}, source {name}")


def _collected(interval: str | None) -> dict[str, str] | None:
    """Read an interval of ISO 8601; ``None`` where it is none of years, months or days."""
    found = re.fullmatch(r"(\.\.|\d{4}(?:-\d\d){0,2})(?:/(\.\.|\d{4}(?:-\d\d){0,2}))?",
                         interval or "")  # fmt: skip
    if found is None:
        return None
    start, end = found[1], found[2] or found[1]
    return {name: text for name, text in (("from", start), ("to", end)) if text != ".."}


def _with_itself(found: Croissant, node: Node, where: str) -> Croissant:
    """Take the data set itself as the source: another's file says it of its own."""
    frames = found.rai.get("dataCollectionTimeframe", ()) or texts_of(node.get("temporalCoverage"))
    collected = _collected(frames[0]) if len(frames) == 1 else None
    if len(frames) == 2 and all(re.match(r"\d{4}-\d\d-\d\d", frame) for frame in frames):
        collected = {"from": min(frames)[:10], "to": max(frames)[:10]}
    synthetic = found.rai.get("hasSyntheticData", ())
    fields: dict[str, Any] = {
        "name": found.name[:200],
        "description": (found.description or "")[:2_000] or None,
        "licence": found.licence,
        "origin": (found.url or "")[:2_000] or None,
        "collected": collected,
        "languages": [code for code in texts_of(node.get("inLanguage"))
                      if re.fullmatch(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", code)],
        "synthetic": synthetic[0].lower() == "true" if synthetic else None,
    }  # fmt: skip
    given = {key: value for key, value in fields.items() if value not in (None, [])}
    source = Source.from_json(given, where=where)
    return Croissant(
        found.name, found.description, found.url, found.licence, found.record_sets, found.files,
        (source,), found.lineage, found.rai,
    )  # fmt: skip
