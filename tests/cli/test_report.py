"""``auditor report``: written beside the run, never into it, and never over anything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import auditor as package

from .conftest import Auditor

OPTIONS = ["--target", "y", "--prediction", "p", "--sensitive", "sex,race"]


@pytest.fixture
def run(auditor: Auditor, table: Path) -> Path:
    auditor("predictions", table, *OPTIONS, "--out", "run")
    return Path("run").resolve()


def files(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_every_format_is_written_and_the_run_is_not_touched(auditor: Auditor, run: Path) -> None:
    before = files(run)
    outcome = auditor("report", run, "--format", "html,md,json", "--out", "reports", "--json")
    assert outcome.code == 0
    assert files(run) == before
    document = outcome.json
    assert [Path(p).name for p in document["reports"]] == [
        "report.html",
        "report.md",
        "report.json",
    ]
    assert document["head"] == auditor("verify", run, "--json").json["head"]
    assert document["head"] in Path("reports/report.html").read_text("utf-8")
    assert json.loads(Path("reports/report.json").read_bytes())["record"]["state"] == "sealed"


def test_without_json_stdout_stays_empty(auditor: Auditor, run: Path) -> None:
    outcome = auditor("report", run, "--out", "reports")
    assert (outcome.code, outcome.out) == (0, "")
    assert "report.html" in outcome.err


def test_by_default_the_folder_is_named_after_the_run(auditor: Auditor, run: Path) -> None:
    assert auditor("report", run, "--format", "md").code == 0
    assert Path("run-report/report.md").is_file()
    again = auditor("report", run, "--format", "md")
    assert again.code == 2
    assert "not empty" in again.err


def test_the_same_run_gives_the_same_files(auditor: Auditor, run: Path) -> None:
    for out in ("one", "two"):
        auditor("report", run, "--format", "html,md,json", "--out", out)
    one, two = (sorted(files(Path(out)).values()) for out in ("one", "two"))
    assert one == two


@pytest.mark.parametrize("out", ["run", "run/inside", "run/evidence"])
def test_nothing_is_written_into_the_run(auditor: Auditor, run: Path, out: str) -> None:
    before = files(run)
    outcome = auditor("report", run, "--out", out)
    assert outcome.code == 2
    assert "never written into the run" in outcome.err
    assert files(run) == before


def test_a_folder_that_holds_something_is_refused(auditor: Auditor, run: Path) -> None:
    Path("full").mkdir()
    Path("full/report.html").write_text("mine")
    outcome = auditor("report", run, "--out", "full")
    assert outcome.code == 2
    assert "choose another --out" in outcome.err
    assert Path("full/report.html").read_text() == "mine"
    Path("file").write_text("x")
    assert auditor("report", run, "--out", "file").code == 2


def test_an_unknown_format_names_the_nearest(auditor: Auditor, run: Path) -> None:
    outcome = auditor("report", run, "--format", "htm", "--out", "reports")
    assert outcome.code == 2
    assert "html" in outcome.err
    assert not Path("reports").exists()
    assert auditor("report", run, "--format", ",", "--out", "reports").code == 2


def test_a_changed_run_is_refused_in_one_line(auditor: Auditor, run: Path) -> None:
    file = run / "findings.json"
    file.write_bytes(file.read_bytes().replace(b"0.", b"1.", 1))
    outcome = auditor("report", run, "--out", "reports")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert not Path("reports").exists()


def test_no_run_at_all_is_one_line(auditor: Auditor, tmp_path: Path) -> None:
    outcome = auditor("report", tmp_path / "nothing")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1


def test_help_shows_an_example(auditor: Auditor) -> None:
    outcome = auditor("report", "--help")
    assert outcome.code == 0
    assert "Example: auditor report" in outcome.out


def test_a_report_needs_none_of_the_heavy_libraries(auditor: Auditor, run: Path) -> None:
    script = (
        "import sys; sys.argv = ['auditor', 'report', sys.argv[1], '--out', 'r', '--format',"
        " 'html,md,json']\n"
        "from auditor.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'shap', 'sklearn', 'fairlearn', 'pandas', 'duckdb'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(run)], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(Path(package.__file__).parent.parent), "PATH": ""},
    )  # fmt: skip
    assert done.stdout.strip() == "[]", done.stderr
    assert Path("r/report.html").is_file()
