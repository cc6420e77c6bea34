"""The words of Croissant: its context, its properties, its types, and those of its neighbours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

__all__ = [
    "CONFORMS_TO",
    "CONTEXT",
    "CROISSANT_TYPES",
    "NAMESPACES",
    "PROV_TERMS",
    "RAI_ALIASES",
    "RAI_CONFORMS_TO",
    "RAI_PROPERTIES",
    "data_type",
    "encoding_of",
]

CONFORMS_TO = ("http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/1.0")
RAI_CONFORMS_TO = "http://mlcommons.org/croissant/RAI/1.0"

NAMESPACES: Mapping[str, str] = {
    "https://schema.org/": "sc",
    "http://schema.org/": "sc",
    "http://mlcommons.org/croissant/RAI/": "rai",
    "http://mlcommons.org/croissant/": "cr",
    "http://purl.org/dc/terms/": "dct",
    "http://www.w3.org/ns/prov#": "prov",
}
"""Longer addresses come before those that they begin with."""

_CR = (
    "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field",
    "fileObject", "fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset",
    "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex",
    "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform",
)  # fmt: skip

CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{name: f"cr:{name}" for name in _CR},
}
"""The context of the specification's appendix, and PROV-O, as its chapter on provenance asks."""

RAI_PROPERTIES = frozenset({
    "annotationsPerItem", "annotatorDemographics", "dataAnnotationAnalysis",
    "dataAnnotationPlatform", "dataAnnotationProtocol", "dataBiases", "dataCollection",
    "dataCollectionMissingData", "dataCollectionRawData", "dataCollectionTimeframe",
    "dataCollectionType", "dataImputationProtocol", "dataLimitations", "dataManipulationProtocol",
    "dataPreprocessingProtocol", "dataReleaseMaintenancePlan", "dataSocialImpact", "dataUseCases",
    "hasSyntheticData", "machineAnnotationTools", "personalSensitiveInformation",
})  # fmt: skip
"""Those of croissant_rai.ttl, and ``hasSyntheticData``, which data tracks have asked for since."""

RAI_ALIASES: Mapping[str, str] = {
    # As the reference library spells them.
    "dataCollectionTimeFrame": "dataCollectionTimeframe",
    "dataDataManipulationProtocol": "dataManipulationProtocol",
}

PROV_TERMS = frozenset({
    "Activity", "Agent", "Association", "Attribution", "Bundle", "Collection", "Communication",
    "Delegation", "Derivation", "EmptyCollection", "End", "Entity", "Generation", "Influence",
    "Invalidation", "Location", "Organization", "Person", "Plan", "PrimarySource", "Quotation",
    "Revision", "Role", "SoftwareAgent", "Start", "Usage", "actedOnBehalfOf", "activity", "agent",
    "alternateOf", "atLocation", "atTime", "endedAtTime", "entity", "generated", "generatedAtTime",
    "hadActivity", "hadGeneration", "hadMember", "hadPlan", "hadPrimarySource", "hadRole",
    "hadUsage", "influenced", "influencer", "invalidated", "invalidatedAtTime", "label",
    "qualifiedAssociation", "qualifiedAttribution", "qualifiedDerivation", "qualifiedGeneration",
    "qualifiedUsage", "specializationOf", "startedAtTime", "type", "used", "value",
    "wasAssociatedWith", "wasAttributedTo", "wasDerivedFrom", "wasEndedBy", "wasGeneratedBy",
    "wasInfluencedBy", "wasInformedBy", "wasInvalidatedBy", "wasQuotedFrom", "wasRevisionOf",
    "wasStartedBy",
})  # fmt: skip
"""The terms of PROV-O, and ``label`` and ``type``, which the specification's examples use."""

CROISSANT_TYPES = frozenset({
    "BoundingBox", "Float16", "Float32", "Float64", "Int8", "Int16", "Int32", "Int64", "Label",
    "SegmentationMask", "Split", "TestSplit", "TrainingSplit", "UInt8", "UInt16", "UInt32",
    "UInt64", "ValidationSplit",
})  # fmt: skip

_TYPES = (
    (r"bool(ean)?", "sc:Boolean"),
    (r"tinyint|int8", "cr:Int8"), (r"smallint|int16", "cr:Int16"),
    (r"integer|int|int32", "cr:Int32"), (r"bigint|long|int64", "cr:Int64"),
    (r"utinyint|uint8", "cr:UInt8"), (r"usmallint|uint16", "cr:UInt16"),
    (r"uinteger|uint32", "cr:UInt32"), (r"ubigint|uint64", "cr:UInt64"),
    (r"u?hugeint", "sc:Integer"), (r"halffloat|float16", "cr:Float16"),
    (r"float|real|float32", "cr:Float32"), (r"double|float64", "cr:Float64"),
    (r"decimal.*|numeric.*", "sc:Float"), (r"date|date32.*|date64.*", "sc:Date"),
    (r"timestamp.*|datetime.*", "sc:DateTime"), (r"time|time32.*|time64.*", "sc:Time"),
)  # fmt: skip


def data_type(name: str | None) -> tuple[str, bool]:
    """Return Croissant's type for one of Arrow's or DuckDB's, and whether it is a list of them.

    What has no counterpart, or was not recorded, is text.

    >>> data_type("BIGINT"), data_type("list<item: double>"), data_type("sc:URL"), data_type(None)
    (('cr:Int64', False), ('cr:Float64', True), ('sc:URL', False), ('sc:Text', False))
    """
    text = (name or "").strip()
    if text.startswith(("sc:", "cr:")):
        return text, False
    inner = re.fullmatch(r"(?:large_)?list<\w+: (.+?)(?: not null)?>|(.+)\[\d*\]", text)
    if inner is not None and not text.startswith(("date", "time")):
        return data_type(inner[1] or inner[2])[0], True
    for pattern, kind in _TYPES:
        if re.fullmatch(pattern, text.lower()):
            return kind, False
    return "sc:Text", False


_ENCODINGS = {
    ".csv": "text/csv", ".tsv": "text/tab-separated-values", ".txt": "text/plain",
    ".json": "application/json", ".jsonl": "application/jsonlines",
    ".ndjson": "application/jsonlines", ".parquet": "application/x-parquet",
    ".arrow": "application/vnd.apache.arrow.file", ".feather": "application/vnd.apache.arrow.file",
    ".gz": "application/gzip", ".zst": "application/zstd", ".zip": "application/zip",
    ".npz": "application/zip", ".tar": "application/x-tar",
}  # fmt: skip


def encoding_of(name: str) -> tuple[str, ...]:
    """Return the media types of a file by its suffixes, the inner first.

    >>> encoding_of("adult.csv.gz"), encoding_of("README")
    (('text/csv', 'application/gzip'), ('application/octet-stream',))
    """
    suffixes = PurePosixPath(name.lower()).suffixes[-2:]
    found = tuple(_ENCODINGS[suffix] for suffix in suffixes if suffix in _ENCODINGS)
    return found or ("application/octet-stream",)
