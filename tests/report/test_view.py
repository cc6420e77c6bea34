"""The view: from the record alone, for every state in which a record can be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from auditor.errors import InputError, RunError
from auditor.evidence import Slice, Status, WaiverRecord
from auditor.ledger import RunRecord, SigningKey
from auditor.report import FORMATS, make_view, render, write_reports
from auditor.report.view import ReportView
from auditor.stats import SliceTable

from .conftest import RUN_JSON, StartRun

ALL_FORMATS = ("html", "json", "md")  # of the whole record


def facts(view: ReportView) -> dict[str, str | None]:
    groups = (view.people, view.judged, view.model, view.environment)
    return {fact.label: fact.value for group in groups for fact in group}


def test_the_built_in_formats_are_registered() -> None:
    assert {"croissant", *ALL_FORMATS} <= set(FORMATS)


@pytest.mark.parametrize("format", ALL_FORMATS)
def test_the_same_record_gives_the_same_bytes(credit_run: RunRecord, format: str) -> None:
    first = render(credit_run, format)
    assert render(RunRecord.load(credit_run.path), format) == first


@pytest.mark.parametrize("format", ALL_FORMATS)
def test_the_word_compliant_is_never_used(credit_run: RunRecord, format: str) -> None:
    text = render(credit_run, format).decode().lower()
    assert "complian" not in text
    assert "evidence" in text


@pytest.mark.parametrize("format", ALL_FORMATS)
@pytest.mark.parametrize("status", list(Status))
def test_every_status_is_rendered(start_run: StartRun, status: Status, format: str) -> None:
    run = start_run()
    closed = status in (Status.FAIL, Status.ERROR)
    run.decide(status, Status.PASS, gate="closed" if closed else "open")
    record = run.finish()
    text = render(record, format).decode()
    assert make_view(record).summary.status in (str(status), "pass")
    assert ("gate is closed" in text) == closed
    assert "because 1" in text
    assert "law:2" in text


@pytest.mark.parametrize("format", ALL_FORMATS)
@pytest.mark.parametrize("expired", [True, False])
def test_a_waiver_is_shown_and_an_expired_one_says_so(
    start_run: StartRun, expired: bool, format: str
) -> None:
    run = start_run()
    waiver = WaiverRecord(
        rule="rule-1", slice=Slice({"race": "Other"}), owner="B. Holder", reason="a pilot",
        expires=date(2026, 1, 1), expired=expired,
    )  # fmt: skip
    run.decide(Status.FAIL if expired else Status.WAIVED, waiver=waiver)
    text = render(run.finish(), format).decode()
    assert "B. Holder" in text
    assert "2026-01-01" in text
    assert ("expired waiver" in text.lower() or '"expired":true' in text) == expired


def test_without_a_policy_nothing_is_judged_and_the_largest_difference_is_named(
    start_run: StartRun, confusion: Callable[..., SliceTable]
) -> None:
    run = start_run(policy=None)
    run.measure("bias.group-metrics", confusion())
    view = make_view(run.finish())
    assert view.policy is None
    assert view.summary.status == "none"
    assert view.summary.worst is not None
    assert view.summary.worst.about.startswith("The largest difference between groups, of ")


def test_everything_that_is_recorded_is_shown(credit_run: RunRecord) -> None:
    shown = facts(make_view(credit_run))
    assert shown["System"] == "Credit scoring"
    assert shown["Threshold"] == "score ≥ 0.5"
    assert shown["Bins"] == "age: 25, 45"
    assert shown["Code commit"] == "0123456789abcdef"
    assert shown["Machine"] == "x86_64, 8 cores, 32.0 GiB"
    cost = shown["Cost of the audit"]
    assert cost is not None
    assert "50 of 100 batches" in cost


def test_what_nobody_recorded_is_not_filled_in(start_run: StartRun) -> None:
    run = start_run()
    run.decide(Status.PASS)
    record = run.finish({})
    view = make_view(record)
    assert view.title == "credit-7"
    assert {label for label, value in facts(view).items() if value is None} >= {
        "System", "Provider", "Intended purpose", "Target", "Code commit", "Machine",
    }  # fmt: skip
    assert "not recorded" in render(record, "html").decode()


@pytest.mark.parametrize(
    "odd",
    [
        {"system": "a word", "audit": 3, "packages": [1], "machine": None, "governor": "x"},
        {"system": {"name": {"a": [1]}, "users": ["x", 2, None]}, "audit": {"bins": {"a": "x"}}},
        {"started": 5, "seed": None, "code": {"commit": [1]}, "machine": {"accelerators": ["a"]}},
    ],
)
def test_odd_documents_break_nothing(start_run: StartRun, odd: dict[str, object]) -> None:
    run = start_run()
    run.decide(Status.PASS)
    record = run.finish(odd)
    for format in ALL_FORMATS:
        assert render(record, format)


@pytest.mark.parametrize("format", ALL_FORMATS)
def test_an_unsigned_run_says_so(start_run: StartRun, format: str) -> None:
    run = start_run()
    run.decide(Status.PASS)
    record = run.finish()
    text = render(record, format).decode()
    assert "UNSIGNED" in text or '"signer":null' in text
    assert not make_view(record).proof.signed


def test_a_signed_and_sealed_run_names_signer_head_and_the_command(
    credit_run: RunRecord, key: SigningKey
) -> None:
    proof = make_view(credit_run).proof
    assert (proof.state, proof.signed, proof.signer) == ("sealed", True, "me")
    assert proof.fingerprint == key.verifying_key.fingerprint
    assert proof.head == f"sha256:{credit_run.ledger.root().hex()}"
    assert proof.entry_0 == credit_run.ledger.entries[0].digest
    assert proof.command == f"auditor verify credit-7 --key SIGNER.pub --head {proof.head}"


def test_a_note_on_the_key_is_shown(start_run: StartRun, key: SigningKey) -> None:
    run = start_run(key=key)
    run.decide(Status.PASS)
    record = run.finish({**RUN_JSON, "key_note": "made for a demonstration"})
    for format in ALL_FORMATS:
        assert "made for a demonstration" in render(record, format).decode()


def test_before_the_seal_the_report_says_that_the_seal_will_bind_it(
    start_run: StartRun, key: SigningKey
) -> None:
    run = start_run(key=key)
    run.decide(Status.PASS)
    run.write_findings()
    proof = make_view(run.load()).proof
    assert (proof.state, proof.head, proof.signed) == ("open", None, False)
    assert proof.interruption is None
    text = render(run.load(), "html").decode()
    assert "bound by it" in text
    assert "interrupted" not in text.partition("<main")[2].partition("i-interrupted")[0]


@pytest.mark.parametrize("format", ALL_FORMATS)
def test_an_interrupted_run_is_rendered_with_a_plain_warning(
    start_run: StartRun, confusion: Callable[..., SliceTable], format: str
) -> None:
    run = start_run()
    run.measure("bias.group-metrics", confusion())
    run.writer.append("interrupted", {"reason": "KeyboardInterrupt"})
    run.writer.close()
    record = run.load()
    proof = make_view(record).proof
    assert (proof.state, proof.interruption) == ("interrupted", "KeyboardInterrupt")
    text = render(record, format).decode()
    assert "interrupted" in text
    assert "KeyboardInterrupt" in text


def test_a_run_cut_off_at_its_first_entry_is_rendered(start_run: StartRun) -> None:
    run = start_run()
    run.writer.close()
    (run.path / "policy.yaml").unlink()
    view = make_view(run.load())
    assert view.summary.status == "interrupted"
    assert view.findings == ()
    assert render(run.load(), "html")


@pytest.mark.parametrize("name", ["findings.json", "verdict.json", "run.json", "head"])
def test_a_report_of_a_changed_run_is_refused(credit_run: RunRecord, name: str) -> None:
    file = credit_run.path / name
    file.write_bytes(file.read_bytes().replace(b"7", b"8", 1))
    with pytest.raises(RunError):
        render(RunRecord.load(credit_run.path), "html")


def test_a_report_of_a_run_with_an_added_file_is_refused(credit_run: RunRecord) -> None:
    (credit_run.path / "extra.txt").write_text("x")
    with pytest.raises(RunError, match="added after the seal"):
        render(RunRecord.load(credit_run.path), "html")


def test_a_report_of_a_run_whose_signature_was_stripped_is_refused(credit_run: RunRecord) -> None:
    head = credit_run.path / "head"
    text, _, _ = head.read_bytes().partition(b"\n\n")
    head.write_bytes(text + b"\n\n")
    with pytest.raises(RunError, match="stripped"):
        render(RunRecord.load(credit_run.path), "html")


def test_reports_are_written_into_a_run_before_its_seal(start_run: StartRun) -> None:
    run = start_run()
    run.decide(Status.PASS)
    run.write_findings()
    paths = write_reports(run.folder, ["report.html", "sub/short.md"])
    assert [path.name for path in paths] == ["report.html", "short.md"]
    assert all(path.is_file() for path in paths)
    with pytest.raises(InputError, match=r"\.html"):
        write_reports(run.folder, ["other.md", "report.docx"])
    assert not (run.path / "other.md").exists()
    record = run.finish()
    assert {"report.html", "sub/short.md"} <= set(record.ledger.entries[-1].body["files"])


def test_stages_without_a_word_are_named(credit_run: RunRecord) -> None:
    silent = make_view(credit_run).silent
    assert "Training" in silent
    assert "Evaluation" not in silent
