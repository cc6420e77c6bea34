"""The JSON report: canonical, complete, and in step with the files of the run."""

from __future__ import annotations

import json

from auditor.evidence import canonical_json
from auditor.ledger import RunRecord
from auditor.report import render


def test_the_document_is_canonical_and_names_its_schema(credit_run: RunRecord) -> None:
    data = render(credit_run, "json")
    assert data.endswith(b"}\n")
    document = json.loads(data)
    assert canonical_json(document) == data[:-1]
    assert document["schema"] == "auditor/report/v1"


def test_findings_and_verdict_are_those_of_the_run(credit_run: RunRecord) -> None:
    document = json.loads(render(credit_run, "json"))
    recorded = json.loads((credit_run.path / "findings.json").read_bytes())
    assert document["findings"] == recorded["findings"]
    assert document["verdict"] == json.loads((credit_run.path / "verdict.json").read_bytes())


def test_what_binds_the_record_is_named(credit_run: RunRecord) -> None:
    record = json.loads(render(credit_run, "json"))["record"]
    assert record["state"] == "sealed"
    assert record["head"] == f"sha256:{credit_run.ledger.root().hex()}"
    assert record["entry_0"] == credit_run.ledger.entries[0].digest
    assert record["signature_checked"] is True


def test_reasons_are_counted(credit_run: RunRecord) -> None:
    document = json.loads(render(credit_run, "json"))
    missing = [f for f in document["findings"] if f["status"] != "measured"]
    assert sum(item["findings"] for item in document["not_measured"]) == len(missing)
    assert document["summary"]["findings_not_measured"] == len(missing)
    assert document["evidence_for"]["eu-ai-act:15.1"] == [
        {"rule": "accurate-enough", "status": "pass"}
    ]
