from __future__ import annotations

import copy
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.provenance.croissant import (
    Croissant,
    File,
    RecordSet,
    read_croissant,
    write_croissant,
)
from auditor.provenance.croissant.vocabulary import RAI_PROPERTIES, data_type
from auditor.provenance.lineage import Data, How, Lineage
from auditor.provenance.sources import LegalBasis, Source, SpecialCategory, read_sources

# mlcroissant uses a class of rdflib's that is on its way out.
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")

ADULT = Source.from_json({
    "name": "Adult / UCI", "licence": "CC-BY-4.0", "description": "Census income.",
    "origin": "https://archive.ics.uci.edu/dataset/2/adult", "collected": {"from": 1994},
    "personal": True, "special_categories": ["racial-or-ethnic-origin"], "consent": [],
    "synthetic": False, "languages": "en", "rows": 5, "used_for": ["train", "test"],
})  # fmt: skip
HOUSE = Source.from_json(
    {"name": "in house", "licence": "MIT OR Apache-2.0", "synthetic": True, "generator": "a model"}
)
TABLE = File("train.csv.gz", "a" * 64, 120)
ROWS = "blake3:" + "0" * 64
RAW = Data(id="source:adult", name="Adult / UCI", kind="source", rows=5)
LINEAGE = Lineage(sources=(RAW,)).derive(
    Data(id=ROWS, name="train", rows=4), [RAW], How(name="drop missing", seed=3)
)
TYPES = {"age": "BIGINT", "text": "string", "list": "list<item: int64>", "odd/ name": None}
DATASET = Croissant(
    "a data set", "What it is.",
    record_sets=(
        RecordSet("train", TYPES, 4, (TABLE, File("more.csv")), ROWS),
        RecordSet("test", {"age": None}, 2),
    ),
    sources=(ADULT, HOUSE), lineage=LINEAGE,
)  # fmt: skip
OWN = write_croissant(DATASET)


@pytest.fixture
def reference(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Any:
    """What mlcroissant says of a document: its metadata; its warnings are not the question."""
    mlc = pytest.importorskip("mlcroissant")
    caplog.set_level(logging.ERROR, logger="absl")

    def load(document: Any) -> Any:
        (tmp_path / "croissant.json").write_text(json.dumps(document))
        return mlc.Dataset(tmp_path / "croissant.json").metadata

    return load


def changed(*path: Any, to: Any) -> dict[str, Any]:
    document: Any = copy.deepcopy(OWN)
    at = document
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = to
    return document


def test_mlcroissant_reads_what_is_written(reference: Any) -> None:
    metadata = reference(OWN)
    assert not metadata.ctx.issues.errors
    assert metadata.ctx.is_v1_1()
    assert [file.sha256 for file in metadata.file_objects] == ["a" * 64]
    fields = {field.name: str(field.data_types[0]) for field in metadata.record_sets[0].fields}
    assert fields == {
        "age": "http://mlcommons.org/croissant/Int64",
        "text": "https://schema.org/Text",
        "list": "http://mlcommons.org/croissant/Int64",
        "odd/ name": "https://schema.org/Text",
    }
    assert metadata.license == ["MIT OR Apache-2.0", "https://spdx.org/licenses/CC-BY-4.0.html"]
    assert metadata.data_use_cases == ["Adult / UCI: train, test"]
    assert metadata.data_preprocessing_protocol == ["drop missing: 5 rows to 4, seed 3"]
    assert metadata.extra_properties["prov:wasGeneratedBy"]["prov:label"] == "drop missing"


def test_mlcroissant_reads_the_rows_of_a_real_file(reference: Any, tmp_path: Path) -> None:
    import hashlib

    data = b"age,sex\n39,M\n,F\n"
    (tmp_path / "people.csv").write_bytes(data)
    file = File("people.csv", hashlib.sha256(data).hexdigest(), len(data))
    types = {"age": "DOUBLE", "sex": "VARCHAR"}
    document = write_croissant(
        Croissant("people", record_sets=(RecordSet("train", types, 2, (file,)),))
    )
    (tmp_path / "croissant.json").write_text(json.dumps(document))
    mlc = pytest.importorskip("mlcroissant")
    records = list(mlc.Dataset(tmp_path / "croissant.json").records("train"))
    assert [record["train/sex"] for record in records] == [b"M", b"F"]
    assert records[0]["train/age"] == 39


def test_what_is_written_reads_back_as_the_same() -> None:
    found = read_croissant(json.dumps(OWN).encode(), where="c.json")
    assert found.sources == (ADULT, HOUSE)
    assert found.files == (File("train.csv.gz", "a" * 64, 120, ("text/csv", "application/gzip"),
                                "train.csv.gz"),)  # fmt: skip
    assert [table.name for table in found.record_sets] == ["train", "test"]
    assert found.record_sets[0].files == found.files
    assert found.licence == "(MIT OR Apache-2.0) AND CC-BY-4.0"
    assert set(found.rai) <= RAI_PROPERTIES


def test_what_mlcroissant_writes_again_reads_back_as_the_same(reference: Any) -> None:
    again = reference(OWN).to_json()
    found = read_croissant(json.dumps(again, default=str).encode(), where="c.json")
    assert found.sources == (ADULT, HOUSE)
    assert found.files[0].sha256 == "a" * 64


def test_the_same_in_another_spelling_is_the_same() -> None:
    spelled = json.loads(json.dumps(OWN))
    context = spelled["@context"]
    context["madeOf"] = "http://www.w3.org/ns/prov#wasDerivedFrom"
    spelled["madeOf"] = spelled.pop("prov:wasDerivedFrom")
    spelled["https://schema.org/name"] = {"en": spelled.pop("name")}
    spelled["cr:recordSet"] = spelled.pop("recordSet")
    spelled["http://mlcommons.org/croissant/RAI/dataUseCases"] = spelled.pop("rai:dataUseCases")
    one, other = (read_croissant(json.dumps(d).encode(), where="c") for d in (OWN, spelled))
    assert one == other


SOURCES = st.builds(
    lambda fields: Source.from_json({k: v for k, v in fields.items() if v is not None}),
    st.fixed_dictionaries({
        "name": st.text(alphabet="ab /é%#:", min_size=1, max_size=12),
        "description": st.none() | st.sampled_from(["what", "x" * 300]),
        "licence": st.sampled_from([None, "MIT", "LicenseRef-x", "MIT OR CC-BY-4.0"]),
        "origin": st.sampled_from([None, "https://example.org/a?b#c", "a drawer"]),
        "collected": st.sampled_from([None, {"from": 1994}, {"to": "1994-05"},
                                      {"from": "1994", "to": "1994-05-31"}]),
        "consent": st.none() | st.lists(st.sampled_from([b for b in LegalBasis.__args__
                                                         if b != "none-needed"]), max_size=2),
        "synthetic": st.sampled_from([None, True, False]),
        "opt_outs": st.sampled_from([None, {"honoured": False, "how": "by hand"}]),
        "personal": st.sampled_from([None, True]),
        "special_categories": st.none() | st.lists(st.sampled_from(SpecialCategory.__args__),
                                                   max_size=2),
        "languages": st.sampled_from([None, [], ["en", "de-AT"]]),
        "rows": st.none() | st.integers(0, 1 << 40), "tokens": st.none() | st.integers(0, 9),
        "digest": st.sampled_from([None, ROWS]), "used_for": st.sampled_from([None, [], ["train"]]),
    }),
)  # fmt: skip


@given(st.lists(SOURCES, max_size=4, unique_by=lambda source: source.name))
def test_sources_survive_croissant(sources: list[Source]) -> None:
    document = json.loads(json.dumps(write_croissant(Croissant("d", sources=tuple(sources)))))
    found = read_croissant(document, where="c.json")
    if sources:
        assert found.sources == tuple(sources)
    else:
        assert [source.name for source in found.sources] == ["d"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (changed("rai:bogusField", to="x"), "RAI has no property 'rai:bogusField'"),
        (changed("rai:dataBias", to="x"), "did you mean 'dataBiases'"),
        (changed("distribution", 0, "rai:dataBiase", to="x"), "RAI has no property"),
        (changed("prov:wasDerivedfrom", to=[]), "did you mean 'wasDerivedFrom'"),
        (changed("distribution", 0, "sha256", to="nothex"), "'nothex' is no digest; 64 hex digits"),
        (changed("distribution", 0, "sha256", to="a" * 63), "is no digest"),
        (changed("distribution", 0, "sha256", to=7), "is no digest"),
        (changed("rai:hasSyntheticData", to="perhaps"), "true or false"),
        (changed("recordSet", 0, "field", 0, "dataType", to="cr:Int65"), "did you mean 'Int64'"),
        (changed("recordSet", 0, "field", 0, "source", "fileObject", "@id", to="train.csv"),
         "there is no 'train.csv'; did you mean 'train.csv.gz'"),
        (changed("recordSet", 1, "@id", to="train"), "'train' is given twice"),
        (changed("conformsTo", to="http://mlcommons.org/croissant/2.0"),
         "no version that is known"),
        (changed("@type", to="sc:Thing"), "it describes no data set"),
        (changed("name", to=""), "has no name"),
        (changed("distribution", to=["train.csv"]), "is no object"),
        (changed("distribution", 0, to={"@type": "cr:FileObject", "@id": "f", "contentUrl": "f"}),
         "the file 'f' has no digest"),
        (changed("distribution", 0, "contentUrl", to=""), "has no contentUrl"),
        (changed("distribution", 0, "@type", to="cr:Flie"), "is no file"),
        (changed("prov:wasDerivedFrom", 0, "sc:license", to="Mine"), "Unknown license"),
        (changed("prov:wasDerivedFrom", 0, "sc:additionalProperty", 0, "sc:value", to="{"),
         "not JSON"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_in_one_line(document: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        read_croissant(json.dumps(document).encode(), where="c.json")
    assert str(refused.value).startswith("c.json")
    assert "\n" not in str(refused.value)


def test_the_reference_library_lets_pass_what_is_refused_here(reference: Any) -> None:
    """Why there are checks of our own; should it refuse these one day, this says so."""
    for document in (changed("rai:bogusField", to="x"),
                     changed("distribution", 0, "sha256", to="nothex")):  # fmt: skip
        assert not reference(document).ctx.issues.errors


def test_the_reference_library_refuses_a_mutant_too(reference: Any) -> None:
    mlc = pytest.importorskip("mlcroissant")
    document = changed("recordSet", 0, "field", 0, "source", "fileObject", "@id", to="none.csv")
    with pytest.raises(mlc.ValidationError):
        reference(document)


def test_anothers_file_is_the_data_set_itself(tmp_path: Path) -> None:
    document = {
        "@context": {"@vocab": "https://schema.org/", "rai": "http://mlcommons.org/croissant/RAI/"},
        "@type": "sc:Dataset", "conformsTo": "http://mlcommons.org/croissant/1.0", "name": "PASS",
        "url": "https://www.robots.ox.ac.uk/~vgg/data/pass/", "inLanguage": "en",
        "license": "https://creativecommons.org/licenses/by/4.0/",
        "rai:dataCollectionTimeframe": ["2020-01-01T00:00:00", "2021-06-30T00:00:00"],
        "rai:hasSyntheticData": False,
    }  # fmt: skip
    (tmp_path / "pass.jsonld").write_text(json.dumps(document))
    (source,) = read_sources(tmp_path / "pass.jsonld")
    assert (source.name, source.licence, source.synthetic) == ("PASS", "CC-BY-4.0", False)
    assert source.collected is not None
    assert (source.collected.start, source.collected.end) == ("2020-01-01", "2021-06-30")
    assert source.personal is None
    document["license"] = "ask us"
    (tmp_path / "pass.jsonld").write_text(json.dumps(document))
    assert read_sources(tmp_path / "pass.jsonld")[0].licence is None


def test_files_without_sha256_are_named_not_described() -> None:
    assert [file["@id"] for file in OWN["distribution"]] == ["train.csv.gz"]
    assert any("SHA-256 of more.csv" in text for text in OWN["rai:dataLimitations"])
    assert "field" not in OWN["recordSet"][1]


def test_files_and_tables_of_one_name_have_ids_of_their_own(reference: Any) -> None:
    files = (File("train", "a" * 64), File("train", "b" * 64), File("tr ain", "c" * 64))
    tables = tuple(
        RecordSet("train", {"a": None, "a ": None, "a_": None}, files=(f,)) for f in files
    )
    document = write_croissant(Croissant("d", record_sets=tables))
    assert not reference(document).ctx.issues.errors
    found = read_croissant(document, where="c")
    assert [table.files[0].sha256 for table in found.record_sets] == ["a" * 64, "b" * 64, "c" * 64]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("INTEGER", "cr:Int32"), ("int32", "cr:Int32"), ("VARCHAR", "sc:Text"),
        ("large_string", "sc:Text"), ("DECIMAL(18,3)", "sc:Float"), ("BOOLEAN", "sc:Boolean"),
        ("TIMESTAMP WITH TIME ZONE", "sc:DateTime"), ("timestamp[us]", "sc:DateTime"),
        ("date32[day]", "sc:Date"), ("time64[us]", "sc:Time"), ("STRUCT(a INTEGER)", "sc:Text"),
        ("HUGEINT", "sc:Integer"), ("", "sc:Text"),
    ],
)  # fmt: skip
def test_types_of_arrow_and_duckdb_are_croissants(name: str, expected: str) -> None:
    assert data_type(name) == (expected, False)
    assert data_type(f"{name}[]")[0] == (expected if name else "sc:Text")


KEYS = st.sampled_from(
    [*OWN, "@id", "@type", "field", "source", "sha256", "rai:dataBiases", "prov:used"]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(
        ["sc:Dataset", "cr:FileObject", "http://mlcommons.org/croissant/1.1", "a" * 64]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=15,
)  # fmt: skip


@given(st.dictionaries(KEYS, ANYTHING, max_size=4))
def test_any_document_is_croissant_or_refused(changes: dict[str, Any]) -> None:
    for document in (changes, OWN | changes):
        try:
            read_croissant(json.dumps(document).encode(), where="c.json")
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017 -- either way is right


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b"{" * 90_000, b'{"@context": 1}',
                                  b'{"a": ' * 500 + b"1" + b"}" * 500])  # fmt: skip
def test_bytes_that_are_no_croissant_are_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        read_croissant(data, where="c.json")
