"""JSON: the report for machines, in canonical form, with every number as it was recorded."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from auditor.evidence import canonical_json
from auditor.report.formats.format import FORMATS, Format
from auditor.report.subject import Fact
from auditor.report.view import ReportView

__all__ = ["REPORT_SCHEMA", "render_json"]

REPORT_SCHEMA = "auditor/report/v1"


def render_json(view: ReportView) -> bytes:
    """Return the report as one canonical JSON document and a newline."""
    return canonical_json(_document(view)) + b"\n"


def _document(view: ReportView) -> dict[str, Any]:
    summary, proof = view.summary, view.proof
    return {
        "schema": REPORT_SCHEMA,
        "run": view.run,
        "title": view.title,
        "started": view.started,
        "finished": view.finished,
        "summary": {
            "status": summary.status,
            "headline": summary.headline,
            "gate": summary.gate,
            "gate_sentence": summary.gate_sentence,
            "rules": {status: number for status, _, number in summary.counts},
            "worst": None if summary.worst is None else asdict(summary.worst),
            "records": summary.records,
            "findings_measured": summary.measured,
            "findings_not_measured": summary.unmeasured,
        },
        "verdict": None if view.verdict is None else view.verdict.to_json(),
        "evidence_for": {
            clause.id: [{"rule": rule, "status": status} for rule, _, status in clause.rules]
            for clause in view.clauses
        },
        "judged": _facts((*view.people, *view.judged, *view.model)),
        "data": [asdict(table) for table in view.tables],
        "checkpoints": [_facts(facts) for facts in view.checkpoints],
        "environment": _facts(view.environment) | {"packages": dict(view.packages)},
        "findings": [finding.to_json() for finding in view.findings],
        "not_measured": [
            {
                "reason": absence.reason,
                "stage": absence.stage,
                "check": absence.check,
                "error": absence.error,
                "findings": absence.number,
            }
            for absence in view.absences
        ],
        "stages_not_audited": list(view.silent),
        "evidence": {
            item.name: {"digest": item.digest, "file": item.file} for item in view.evidence.values()
        },
        "record": {
            "state": proof.state,
            "interruption": proof.interruption,
            "entry_0": proof.entry_0,
            "head": proof.head,
            "entries": proof.entries,
            "signer": proof.signer,
            "signer_fingerprint": proof.fingerprint,
            "signature_checked": proof.signed,
            "key_note": proof.key_note,
            "verify": proof.command,
        },
    }


def _facts(facts: tuple[Fact, ...]) -> dict[str, Any]:
    return {
        fact.label: fact.value if not fact.lines else [fact.value, *fact.lines] for fact in facts
    }


FORMATS.add("json", Format(".json", "for machines: everything, in canonical JSON", render_json))
