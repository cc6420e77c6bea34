"""The data of a run as Croissant: from its ledger alone, and readable by the reference library."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from auditor.errors import InputError
from auditor.ledger import RunRecord
from auditor.provenance.croissant import read_croissant
from auditor.provenance.lineage import Data, Derivation, How
from auditor.provenance.sources import Source, sources_body
from auditor.report import FORMATS
from auditor.report.formats.croissant import recorded_dataset

from .conftest import StartRun

# mlcroissant uses a class of rdflib's that is on its way out.
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")

ROWS = "blake3:" + "1" * 64
SOURCE = Source.from_json(
    {"name": "loans", "licence": "CC0-1.0", "origin": "https://example.org", "rows": 10}
)
STEP = Derivation(
    inputs=(Data(id="source:loans", name="loans", kind="source", rows=10),),
    outputs=(Data(id=ROWS, name="train", rows=9),), how=How(name="drop missing"),
)  # fmt: skip
TABLES = {
    "train": {
        "name": "train.csv", "rows": 9, "columns": ["y", "sex"], "digest": ROWS,
        "types": {"y": "BIGINT", "sex": "VARCHAR"},
        "files": [{"name": "train.csv", "bytes": 100, "digest": "blake3:" + "2" * 64,
                   "sha256": "a" * 64}],
    },
    "test": {"name": "test=", "rows": 3, "columns": ["y", "sex"], "files": []},
}  # fmt: skip


def recorded(start_run: StartRun, *entries: tuple[str, Any]) -> RunRecord:
    run = start_run(policy=None)
    for kind, body in entries:
        run.writer.append(kind, body)
    return run.finish()


def rendered(record: RunRecord) -> Any:
    view = cast("Any", SimpleNamespace(record=record))
    return json.loads(FORMATS.get("croissant").render(view))


def test_tables_sources_and_steps_of_the_ledger_are_described(
    start_run: StartRun, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record = recorded(
        start_run, ("sources", sources_body([SOURCE])), ("derivation", STEP.to_json()),
        ("data", {"tables": TABLES}),
    )  # fmt: skip
    document = rendered(record)
    assert document["name"] == "Credit scoring"
    assert document["license"] == ["https://spdx.org/licenses/CC0-1.0.html"]
    test, train = document["recordSet"]
    assert [field["dataType"] for field in train["field"]] == ["cr:Int64", "sc:Text"]
    assert train["prov:wasGeneratedBy"] == {"@id": "urn:auditor:step:0"}
    assert train["prov:wasDerivedFrom"] == [{"@id": "urn:auditor:source:loans"}]
    assert "No file of it is described. Columns: y, sex." in test["description"]
    assert document["rai:dataPreprocessingProtocol"] == ["drop missing: 10 rows to 9"]
    assert read_croissant(document, where="report").sources == (SOURCE,)
    mlc = pytest.importorskip("mlcroissant")
    (tmp_path / "report.json").write_text(json.dumps(document))
    caplog.set_level(logging.ERROR, logger="absl")
    assert not mlc.Dataset(tmp_path / "report.json").metadata.ctx.issues.errors


def test_a_digest_of_another_kind_is_no_sha256(credit_run: RunRecord) -> None:
    document = rendered(credit_run)
    assert "distribution" not in document
    assert document["rai:dataLimitations"] == [
        "The SHA-256 of test.parquet is not recorded, so that it is not in the distribution."
    ]


def test_a_run_without_data_is_a_data_set_without_tables(start_run: StartRun) -> None:
    document = rendered(recorded(start_run))
    assert "recordSet" not in document
    assert read_croissant(document, where="report").name == "Credit scoring"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("sources", {}),
        ("sources", {"sources": [{"name": "a", "licence": 7}]}),
        ("derivation", {"how": {}}),
        ("derivation", {"inputs": "x"}),
    ],
)
def test_what_cannot_be_read_is_left_out_and_named(
    start_run: StartRun, kind: str, body: Any
) -> None:
    document = rendered(recorded(start_run, (kind, body), ("data", {"tables": TABLES})))
    assert document["rai:dataLimitations"][0].startswith("Not readable in the record: ")
    assert len(document["recordSet"]) == 2


@pytest.mark.parametrize(
    "tables",
    [None, [], {"train": None}, {"train": {"rows": -1, "columns": "y", "files": [{"name": 3}]}},
     {"train": {"rows": 1e300, "columns": [1, None], "types": {"y": []}, "files": {}}}],
)  # fmt: skip
def test_odd_entries_break_nothing(start_run: StartRun, tables: Any) -> None:
    record = recorded(start_run, ("data", {"tables": tables}))
    document = rendered(record)
    read = read_croissant(document, where="report")
    assert read.name == document["name"]
    assert len(read.record_sets) == len(document.get("recordSet", ())) <= 1


def test_the_same_record_gives_the_same_bytes(start_run: StartRun) -> None:
    record = recorded(start_run, ("sources", sources_body([SOURCE])), ("data", {"tables": TABLES}))
    view = cast("Any", SimpleNamespace(record=record))
    assert FORMATS.get("croissant").render(view) == FORMATS.get("croissant").render(view)
    assert recorded_dataset(record).sources == (SOURCE,)


def test_a_view_without_a_ledger_says_so() -> None:
    with pytest.raises(InputError, match="does not hold its ledger"):
        FORMATS.get("croissant").render(cast("Any", SimpleNamespace(record=None)))
