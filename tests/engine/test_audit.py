"""The audit as its users drive it: estimators, predictions, gates, order, interruption."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from auditor import Audit, InputError, RunError, load
from auditor.checks import CHECKS, Check, Evidence, Subject
from auditor.evidence import Finding, Stage
from auditor.verify import verify_run


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = 1_500
    sex = rng.choice(["F", "M"], rows)
    x = rng.normal(size=rows) + (sex == "M") * 0.4
    z = rng.normal(size=rows)
    y = (x + z + rng.normal(size=rows) > 0.4).astype(int)
    return pd.DataFrame({"id": np.arange(rows), "sex": sex, "x": x, "z": z, "y": y})


DATA: dict[str, Any] = {"target": "y", "sensitive": ["sex"], "record_id": "id"}


def test_an_estimator_is_audited_without_a_loop(frame: pd.DataFrame) -> None:
    from sklearn.metrics import roc_auc_score

    model = LogisticRegression().fit(frame[["x", "z"]], frame.y)
    with Audit() as audit:
        audit.evaluate(model, frame, **DATA)
        women = frame[frame.sex == "F"]
        assert audit.finding("accuracy", sex="F").value == pytest.approx(
            model.score(women[["x", "z"]], women.y), abs=1e-12
        )
        auc = audit.finding("auc", sex="F")
        exact = roc_auc_score(women.y, model.predict_proba(women[["x", "z"]])[:, 1])
        assert auc.bound is not None
        assert auc.value == pytest.approx(exact, abs=auc.bound)


def test_an_estimator_with_named_classes_needs_the_positive_one(frame: pd.DataFrame) -> None:
    named = frame.assign(y=np.where(frame.y == 1, "good", "bad"))
    model = LogisticRegression().fit(named[["x", "z"]], named.y)
    with Audit() as audit:
        with pytest.raises(InputError, match="which of .* is the positive value is not said"):
            audit.evaluate(model, named, **DATA)
        audit.evaluate(model, named, **DATA, positive="bad")
        share = (model.predict(named[["x", "z"]]) == "bad").mean()
        assert audit.finding("selection_rate").value == pytest.approx(share)
        assert audit.finding("auc").value > 0.5


def test_an_estimator_over_an_array_model_takes_all_other_columns(frame: pd.DataFrame) -> None:
    class First:
        def predict(self, x: pd.DataFrame) -> np.ndarray:
            assert list(x.columns) == ["sex", "x", "z"]
            return (x["x"] > 0).to_numpy(int)

    with Audit() as audit:
        audit.evaluate(First(), frame, **DATA)
        assert audit.finding("selection_rate").value == (frame.x > 0).mean()


def test_a_missing_feature_is_named(frame: pd.DataFrame) -> None:
    model = LogisticRegression().fit(frame[["x", "z"]], frame.y)
    with Audit() as audit, pytest.raises(InputError, match="wants column 'z'"):
        audit.evaluate(model, frame.drop(columns="z"), **DATA)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a, f: a.evaluate(predictions=f, prediction="y"), "no sensitive attribute"),
        (lambda a, f: a.evaluate(predictions=f, sensitive="sex"), "neither predictions nor scores"),
        (lambda a, f: a.evaluate(), "nothing to evaluate"),
        (lambda a, f: a.evaluate(predictions=f, sensitve="sex"), "did you mean 'sensitive'"),
        (lambda a, f: a.evaluate(object(), f), "no data are registered"),
        (lambda a, f: a.data(target="y", sensitive="sex"), "no table was given"),
        (lambda a, f: a.data(train=f, target="yy", sensitive="sex"), "did you mean 'y'"),
        (lambda a, f: a.data(train=[1], target="y", sensitive="sex"), "list is not a table"),
        (lambda a, f: a.data(train=f.assign(id=1), **DATA) and a._data.index("train").positions(),
         "record ids repeat"),
        (lambda a, f: a.gate("deployment"), "unknown stage"),
        (lambda a, f: a.validate(None, None), "no data are registered"),
        (lambda a, f: a.explain(None, None), "no data are registered"),
        (lambda a, f: a.gate(checkpoint="none.safetensors"), "no such checkpoint"),
    ],
)  # fmt: skip
def test_wrong_calls_say_what_would_be_valid(frame: pd.DataFrame, call: Any, message: str) -> None:
    with Audit() as audit, pytest.raises(InputError, match=message):
        call(audit, frame)


def test_a_run_is_sealed_verified_and_opened_again(frame: pd.DataFrame, tmp_path: Path) -> None:
    with Audit(policy="four-fifths-screen", run=tmp_path / "run", seed=3) as audit:
        audit.data(train=frame[:1_000], test=frame[1_000:], **DATA)
        audit.evaluate(predictions=frame[1_000:].assign(p=frame.y), prediction="p")
        verdict = audit.gate()
        audit.report("report.html", "report.md", "report.json")
    assert verdict is not None
    assert verify_run(tmp_path / "run").exit_code == 3
    run = load(tmp_path / "run")
    assert run.verdict == verdict
    assert (run.findings.status == "measured").sum() == sum(
        f.status == "measured" for f in audit.findings
    )
    assert run.judge("baseline").registered is False
    assert run.judge("four-fifths-screen").registered is True
    assert json.loads((tmp_path / "run" / "run.json").read_text())["seed"] == 3


def test_an_interrupted_run_is_explored_and_not_intact(frame: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt), Audit(policy="four-fifths-screen", run=path) as audit:
        audit.data(train=frame[:1_000], test=frame[1_000:], **DATA)
        audit.evaluate(predictions=frame[1_000:].assign(p=frame.y), prediction="p")
        verdict = audit.gate()
        raise KeyboardInterrupt
    run = load(path)
    assert (run.sealed, run.interrupted) == (False, "interrupted by KeyboardInterrupt")
    assert "interrupted by KeyboardInterrupt" in repr(run)
    assert "interrupted by KeyboardInterrupt" in run._repr_html_()
    assert len(run.findings) == len(audit.findings) > 50
    assert run.recorded_findings == audit.findings
    assert len(run.statistics) > 5
    assert run.verdict == verdict
    with pytest.raises(RunError, match="an unsealed run is not judged"):
        run.judge("baseline")
    assert (verify_run(path).exit_code, verify_run(path).state) == (1, "interrupted")
    (path / "verdict.json").write_text("{}")  # nothing binds it but the gate's entry
    assert load(path).verdict is None


def test_a_killed_run_is_explored_as_far_as_it_goes(frame: pd.DataFrame, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    frame.to_csv(tmp_path / "train.csv", index=False)
    script.write_text(
        "import os, auditor\n"
        "audit = auditor.Audit(run='run')\n"
        "audit.data(train='train.csv', target='y', sensitive=['sex'], record_id='id')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, check=False)
    assert done.returncode == -9
    run = load(tmp_path / "run")
    assert not run.sealed
    assert run.interrupted == "never sealed: it was cut off, or is still being written"
    assert "missing_rate[x]" in set(run.findings.metric)
    assert verify_run(tmp_path / "run").exit_code == 1


def test_a_run_that_is_written_is_read_when_that_is_asked_for(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    with Audit(run=tmp_path / "run") as audit:
        audit.data(train=frame, **DATA)
        measured = len(audit.findings)  # the rest, with why it was not, at the end
        code = (
            "import sys, auditor\n"
            "try: auditor.load('run')\n"
            "except auditor.RunError as error: print(error)\n"
            "run = auditor.load('run', live=True); print(run.sealed, len(run.findings))\n"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False, text=True,
                              capture_output=True)  # fmt: skip
    refused, read = done.stdout.splitlines()
    assert "being written by another process" in refused
    assert read == f"False {measured}"
    sealed = load(tmp_path / "run", live=True)
    assert (sealed.sealed, sealed.interrupted) == (True, None)
    assert repr(sealed) == f"<auditor run 'run': {len(audit.findings)} findings, sealed>"


def test_a_moved_run_still_verifies(frame: pd.DataFrame, tmp_path: Path) -> None:
    with Audit(run=tmp_path / "run") as audit:
        audit.data(train=frame, **DATA)
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    assert verify_run(tmp_path / "elsewhere").exit_code == 3


def test_what_is_measured_after_the_gate_is_judged_before_the_seal(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    table = frame.assign(p=frame.y)
    with Audit(policy="four-fifths-screen", run=tmp_path / "run") as audit:
        audit.evaluate(predictions=table.assign(p=1), prediction="p", **DATA)
        early = audit.gate()
        audit.evaluate(predictions=table, prediction="p", **DATA)
    assert early is not None
    assert audit.verdict != early
    assert verify_run(tmp_path / "run").exit_code == 3


def test_without_a_policy_there_is_no_verdict(frame: pd.DataFrame, tmp_path: Path) -> None:
    with Audit(run=tmp_path / "run") as audit:
        audit.data(train=frame, **DATA)
        assert audit.gate() is None
    assert not (tmp_path / "run" / "verdict.json").exists()


def test_an_error_leaves_a_valid_ledger_that_says_so(frame: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Audit(run=tmp_path / "run") as audit:
        audit.data(train=frame, **DATA)
        _ = 1 / 0
    lines = (tmp_path / "run" / "ledger.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["type"] == "interrupted"
    assert json.loads(lines[-1])["body"] == {"reason": "ZeroDivisionError"}
    assert verify_run(tmp_path / "run").exit_code == 1
    with pytest.raises(RunError, match="interrupted run"):
        Audit(run=tmp_path / "run")


def test_a_temporary_run_leaves_nothing(frame: pd.DataFrame) -> None:
    with Audit() as audit:
        folder = audit.run
        audit.data(train=frame, **DATA)
        assert (folder / "ledger.jsonl").exists()
    assert not folder.parent.exists()


class Broken(Check):
    """A check that breaks."""

    id: ClassVar[str] = "bias.broken"
    title: ClassVar[str] = "Breaks"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.DATA,)
    metrics: ClassVar[tuple[str, ...]] = ("count",)

    def measure(self, subject: Subject) -> Any:
        raise ZeroDivisionError("of its own making")

    def derive(self, evidence: Any, stage: Stage) -> list[Finding]:
        return []


class BreaksLater(Broken):
    """A check that breaks in its pure half."""

    id: ClassVar[str] = "bias.breaks-later"

    def measure(self, subject: Subject) -> Any:
        return []

    def derive(self, evidence: Any, stage: Stage) -> list[Finding]:
        raise KeyError(f"{len(list[Evidence](evidence))} statistics")


@pytest.mark.parametrize("check", [Broken, BreaksLater])
def test_a_check_that_breaks_is_an_error_and_never_a_pass(
    frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, check: type[Check]
) -> None:
    monkeypatch.setitem(CHECKS._items, check.id, check)
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "schema: auditor/policy/v1\nid: p\nversion: 1.0.0\nrules:\n"
        f"  - {{id: r, metric: count, check: {check.id}, stage: data, accept: '>= 10'}}\n"
    )
    with Audit(policy=policy, run=tmp_path / "run") as audit:
        audit.data(train=frame, **DATA)
        found = [f for f in audit.findings if f.check == check.id]
        verdict = audit.gate("data")
    assert [f.status for f in found] == ["error"]
    assert verdict is not None
    assert (verdict.status, verdict.gate) == ("error", "closed")
    assert verify_run(tmp_path / "run").exit_code == 3


def test_what_was_never_measured_is_named(frame: pd.DataFrame) -> None:
    with Audit() as audit:
        audit.data(train=frame, **DATA)
        audit.evaluate(predictions=frame.assign(p=1), prediction="p")
        audit.gate()
        reasons = {f.check: f.reason for f in audit.findings if f.status == "not-evaluated"}
    assert reasons["provenance.overlap"] == "overlap needs training data and a second table"
    assert reasons["explainability.attributions"] == "nothing was explained"


def test_the_policy_sets_the_fields_of_checks(frame: pd.DataFrame, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "schema: auditor/policy/v1\nid: p\nversion: 1.0.0\nchecks:\n"
        "  - bias.group-metrics: {confidence: 0.9, reference: {sex: F}}\n"
        "rules:\n  - {id: r, metric: accuracy, stage: evaluation, accept: '>= 0.1'}\n"
    )
    with Audit(policy=policy) as audit:
        audit.evaluate(predictions=frame.assign(p=frame.y), prediction="p", **DATA)
        found = audit.finding("selection_rate_ratio", sex="M")
    assert found.confidence == 0.9
    assert found.reference == {"sex": "F"}


def test_no_row_and_no_path_goes_into_a_run(frame: pd.DataFrame, tmp_path: Path) -> None:
    marked = frame.assign(note=[f"secret-{i}" for i in range(len(frame))])
    path = tmp_path / "hidden-folder" / "table.csv"
    path.parent.mkdir()
    marked.to_csv(path, index=False)
    with Audit(run=tmp_path / "run") as audit:
        audit.data(train=path, **DATA)
        audit.report("report.html", "report.json", "report.md")
    everything = b"".join(p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file())
    assert b"secret-" not in everything
    assert b"hidden-folder" not in everything
    assert str(tmp_path).encode() not in everything
