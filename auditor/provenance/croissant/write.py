"""A data set written as Croissant 1.1, with its RAI properties and its provenance in PROV-O."""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from auditor.evidence import canonical_json
from auditor.provenance.croissant.document import Croissant, File, RecordSet
from auditor.provenance.croissant.vocabulary import (
    CONFORMS_TO,
    CONTEXT,
    RAI_CONFORMS_TO,
    data_type,
    encoding_of,
)
from auditor.provenance.lineage import Data, Derivation
from auditor.provenance.sources import Source

__all__ = ["SOURCE_PREFIX", "write_croissant"]

K = TypeVar("K", bound=Hashable)

SOURCE_PREFIX = "urn:auditor:source:"
_DATA_PREFIX = "urn:auditor:data:"
_STEP_PREFIX = "urn:auditor:step:"


def write_croissant(dataset: Croissant) -> dict[str, Any]:
    """Return the JSON-LD of a data set.

    Files are described where their SHA-256 is known: Croissant has no other digest. What is not
    known is left out, and named under ``rai:dataLimitations``. Sources are the entities of
    ``prov:wasDerivedFrom``, steps the activities of ``prov:wasGeneratedBy``; what schema.org and
    RAI have no word for stands in ``additionalProperty``, so that :func:`read_croissant` gives the
    sources back as they were.
    """
    files = [file for table in dataset.record_sets for file in table.files]
    files = list(dict.fromkeys([*files, *dataset.files]))
    ids = _ids((file, file.name) for file in files if file.sha256 is not None)
    document: dict[str, Any] = {
        "@context": dict(CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": [CONFORMS_TO[0], RAI_CONFORMS_TO],
        "name": dataset.name,
        "description": dataset.description,
        "url": dataset.url,
        "license": _licences(dataset),
        "inLanguage": sorted({code for s in dataset.sources for code in s.languages or ()}),
        "distribution": [_file(file, identifier) for file, identifier in ids.items()],
        "recordSet": list(_record_sets(dataset, ids)),
        **{f"rai:{name}": value for name, value in _rai(dataset, files).items()},
        "prov:wasDerivedFrom": [_entity(source) for source in dataset.sources],
        "prov:wasGeneratedBy": [
            _activity(number, step) for number, step in enumerate(dataset.lineage.derivations)
        ],
    }
    return {name: value for name, value in document.items() if value not in (None, [], "")}


def _licences(dataset: Croissant) -> list[str]:
    found = [s.licence for s in dataset.sources if s.licence] or [dataset.licence]
    return sorted({_licence(text) for text in found if text})


def _licence(expression: str) -> str:
    """Return the address of a single licence, as Croissant asks, and an expression as it is."""
    single = " " not in expression and "+" not in expression
    if not single or expression.startswith("LicenseRef-"):
        return expression
    return f"https://spdx.org/licenses/{expression}.html"


def _file(file: File, identifier: str) -> dict[str, Any]:
    encoding = list(file.encoding or encoding_of(file.name))
    document = {
        "@type": "cr:FileObject",
        "@id": identifier,
        "name": file.name,
        "contentUrl": file.url or quote(file.name),
        "encodingFormat": encoding[0] if len(encoding) == 1 else encoding,
        "sha256": file.sha256,
    }
    return document if file.bytes is None else document | {"contentSize": f"{file.bytes} B"}


def _record_sets(dataset: Croissant, ids: Mapping[File, str]) -> Iterator[dict[str, Any]]:
    names = _ids(((i, table.name) for i, table in enumerate(dataset.record_sets)), ids.values())
    for number, table in enumerate(dataset.record_sets):
        held = [file for file in table.files if file in ids]
        # A field has one source; of several files each says the same of its columns.
        source = ids[held[0]] if held else None
        parts = ["" if table.rows is None else f"{table.rows:,} rows."]
        if len(held) > 1:
            every = ", ".join(file.name for file in held)
            parts.append(f"In {len(held)} files of the same columns: {every}.")
        if table.digest is not None:
            parts.append(f"Digest of the rows: {table.digest}.")
        if source is None:
            named = ", ".join(f"{n} ({k})" if k else n for n, k in table.types.items())
            parts.append(f"No file of it is described. Columns: {named or 'none'}.")
        document: dict[str, Any] = {
            "@type": "cr:RecordSet",
            "@id": names[number],
            "name": table.name,
            "description": " ".join(part for part in parts if part),
        }
        if source is not None:
            document["field"] = list(_fields(table, names[number], source))
        step = None if table.digest is None else dataset.lineage.maker.get(table.digest)
        if step is not None:
            made = dataset.lineage.derivations[step]
            document["prov:wasGeneratedBy"] = {"@id": f"{_STEP_PREFIX}{step}"}
            document["prov:wasDerivedFrom"] = [
                {"@id": _identifier(data)} for data in made.inputs
            ]  # fmt: skip
        yield document


def _fields(table: RecordSet, identifier: str, source: str) -> Iterator[dict[str, Any]]:
    """Yield the columns of a table: a field of Croissant has to say from which file it comes."""
    ids = _ids((name, name) for name in table.types)
    for name, kind in table.types.items():
        known, several = data_type(kind)
        document: dict[str, Any] = {
            "@type": "cr:Field",
            "@id": f"{identifier}/{ids[name]}",
            "name": name,
            "dataType": known,
            "source": {"fileObject": {"@id": source}, "extract": {"column": name}},
        }
        if kind is None:
            document["description"] = "The type was not recorded; read as text."
        if several:
            document["isArray"] = True
        yield document


def _ids(named: Iterable[tuple[K, str]], taken: Collection[str] = ()) -> dict[K, str]:
    """Return an id for each name: no white space, as the reference library asks, and none twice."""
    ids: dict[K, str] = {}
    there = set(taken)
    for key, name in named:
        plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name) or "_"
        number, found = 1, plain
        while found in there:
            number += 1
            found = f"{plain}~{number}"
        there.add(found)
        ids[key] = found
    return ids


def _rai(dataset: Croissant, files: Sequence[File]) -> dict[str, Any]:
    """Return the RAI properties: those given, and what the sources and the steps say."""
    sources = dataset.sources
    found: dict[str, Any] = {
        name: list(texts) for name, texts in dataset.rai.items() if name != "hasSyntheticData"
    }
    said: dict[str, list[str]] = {
        "dataCollection": [
            f"{s.name}: {_stated(s.origin, 'the origin')}, {_when(s) or 'when is not stated'}"
            for s in sources
        ],
        "dataCollectionTimeframe": [when for s in sources if (when := _interval(s))],
        "personalSensitiveInformation": [text for s in sources if (text := _personal(s))],
        "dataUseCases": [f"{s.name}: {', '.join(s.used_for)}" for s in sources if s.used_for],
        "dataPreprocessingProtocol": [_said(step) for step in dataset.lineage.derivations],
        "dataLimitations": [*_gaps(sources), *(
            f"The SHA-256 of {file.name} is not recorded, so that it is not in the distribution."
            for file in files if file.sha256 is None
        )],
    }  # fmt: skip
    for name, texts in said.items():
        if texts:
            found[name] = [*found.get(name, []), *texts]
    if "dataCollection" in found:
        found["dataCollection"] = "; ".join(found["dataCollection"])
    synthetic = [s.synthetic for s in sources]
    if True in synthetic or (synthetic and None not in synthetic):
        found["hasSyntheticData"] = True in synthetic
    return found


def _stated(value: str | None, what: str) -> str:
    return f"{what} is not stated" if value is None else value


def _when(source: Source) -> str | None:
    if source.collected is None or not source.dated:
        return None
    start, end = source.collected.start or "…", source.collected.end or "…"
    return f"collected {start} to {end}"


def _interval(source: Source) -> str | None:
    """Return when it was collected as an interval of ISO 8601; an open end is ``..``."""
    if source.collected is None or not source.dated:
        return None
    return f"{source.collected.start or '..'}/{source.collected.end or '..'}"


def _personal(source: Source) -> str | None:
    if source.personal is None and not source.special_categories:
        return None
    if source.personal is False:
        return f"{source.name}: none"
    kinds = ", ".join(source.special_categories or ()) or "personal data"
    basis = _stated(", ".join(source.consent or ()) or None, "the legal basis")
    return f"{source.name}: {kinds}; {basis}"


def _gaps(sources: Sequence[Source]) -> Iterator[str]:
    for source in sources:
        missing = [
            word
            for word, known in (
                ("licence", source.licence), ("origin", source.origin),
                ("time of collection", _interval(source)),
            )
            if known is None
        ]  # fmt: skip
        if missing:
            yield f"{source.name}: not stated: {', '.join(missing)}."


def _said(step: Derivation) -> str:
    how, before, after = step.how, step.rows_before, step.rows_after
    if how.error is not None:
        return f"{how.name}: failed with {how.error}"
    rows = "" if before is None or after is None else f": {before:,} rows to {after:,}"
    seed = "" if how.seed is None else f", seed {how.seed}"
    code = "" if how.code is None or how.code.digest is None else f", code {how.code.digest}"
    return f"{how.name}{rows}{seed}{code}"


def _entity(source: Source) -> dict[str, Any]:
    document: dict[str, Any] = {
        "@type": "prov:Entity",
        "@id": SOURCE_PREFIX + quote(source.name, safe=""),
        "prov:label": source.name,
    }
    for name, value in (
        ("sc:abstract", source.description), ("sc:license", source.licence),
        ("sc:url", source.origin), ("sc:temporalCoverage", _interval(source)),
    ):  # fmt: skip
        if value is not None:
            document[name] = value
    spoken = {"name", "description", "licence", "origin", "collected"}
    document["sc:additionalProperty"] = [
        _property(name, value) for name, value in source.to_json().items() if name not in spoken
    ]
    return document


def _property(name: str, value: Any) -> dict[str, Any]:
    # As JSON text: a list would lose its order, and an empty one would be lost, in JSON-LD.
    return {
        "@type": "sc:PropertyValue", "sc:propertyID": name,
        "sc:value": canonical_json(value).decode(),
    }  # fmt: skip


def _activity(number: int, step: Derivation) -> dict[str, Any]:
    document: dict[str, Any] = {
        "@type": "prov:Activity",
        "@id": f"{_STEP_PREFIX}{number}",
        "prov:label": step.how.name,
        "prov:used": [_reference(data) for data in step.inputs],
        "prov:generated": [_reference(data) for data in step.outputs],
        "sc:description": _said(step),
    }
    return {name: value for name, value in document.items() if value != []}


def _reference(data: Data) -> dict[str, Any]:
    document: dict[str, Any] = {"@id": _identifier(data), "prov:label": data.name}
    if data.rows is not None:
        document["sc:size"] = f"{data.rows} rows"
    return document


def _identifier(data: Data) -> str:
    return (
        SOURCE_PREFIX + quote(data.name, safe="")
        if data.kind == "source"
        else _DATA_PREFIX + quote(data.id, safe=":")
    )
