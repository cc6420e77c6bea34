"""The page in a real browser: nothing runs, nothing is asked for, nothing sticks out on a phone."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.ledger import RunRecord
from auditor.report import render
from auditor.stats import SliceTable

from .conftest import StartRun
from .test_hostile import EVENT, SCRIPT, make_hostile

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="needs chromium"),
]

QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip

MEASURE = """\
<!DOCTYPE html><body><iframe src="{page}" width="{width}" height="4000"></iframe><script>
onload = function () {{
  var inner = document.querySelector("iframe").contentDocument;
  inner.querySelectorAll("details").forEach(function (item) {{ item.open = true; }});
  var root = inner.documentElement;
  document.body.dataset.over = root.scrollWidth - root.clientWidth;
  document.body.dataset.sections = inner.querySelectorAll("main > section").length;
}};
</script>"""


def browse(page: Path, *options: str) -> str:
    """Open a page and return its document after everything ran."""
    profile = page.parent / "profile"
    done = subprocess.run(
        [str(BROWSER), *QUIET, f"--user-data-dir={profile}", *options, "--dump-dom",
         page.resolve().as_uri()],
        capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout.decode()


@pytest.fixture
def hostile_page(start_run: StartRun, confusion: Callable[..., SliceTable], tmp_path: Path) -> Path:
    page = tmp_path / "page.html"
    page.write_bytes(render(make_hostile(start_run, confusion), "html"))
    return page


def test_the_trap_works_on_a_page_that_is_not_careful(tmp_path: Path) -> None:
    page = tmp_path / "careless.html"
    page.write_text(f"<!DOCTYPE html><html><body>{SCRIPT}</body></html>", "utf-8")
    assert 'data-ran="1"' in browse(page)


def test_no_name_runs_and_nothing_is_asked_for(hostile_page: Path, tmp_path: Path) -> None:
    log = tmp_path / "net.json"
    document = browse(hostile_page, f"--log-net-log={log}", "--net-log-capture-mode=Everything")
    assert "data-ran=" not in document
    assert "<img" not in document
    assert "&lt;script&gt;" in document
    assert EVENT not in document
    assert "evil.example" not in log.read_text("utf-8", "replace")


def test_even_unescaped_a_script_could_not_run(hostile_page: Path) -> None:
    text = hostile_page.read_text("utf-8")
    hostile_page.write_text(text.replace("<main", f"{SCRIPT}{EVENT}<main", 1), "utf-8")
    document = browse(hostile_page)
    assert SCRIPT in document
    assert "data-ran=" not in document


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_sticks_out_at_any_width(
    credit_run: RunRecord, hostile_page: Path, tmp_path: Path, width: int
) -> None:
    usual = tmp_path / "usual.html"
    usual.write_bytes(render(credit_run, "html"))
    for page in (usual, hostile_page):
        frame = tmp_path / "frame.html"
        frame.write_text(MEASURE.format(page=page.name, width=width), "utf-8")
        document = browse(frame, "--allow-file-access-from-files", "--window-size=1400,900")
        assert 'data-over="0"' in document
        assert 'data-sections="0"' not in document


def test_it_prints_and_the_verdict_is_on_the_first_page(
    credit_run: RunRecord, tmp_path: Path
) -> None:
    page, pdf = tmp_path / "page.html", tmp_path / "page.pdf"
    page.write_bytes(render(credit_run, "html"))
    browse(page, f"--print-to-pdf={pdf}", "--no-pdf-header-footer")
    assert pdf.read_bytes().startswith(b"%PDF")
    if shutil.which("pdftotext") is None:
        pytest.skip("needs pdftotext to read the page")
    text = subprocess.run(
        ["pdftotext", "-l", "1", str(pdf), "-"], capture_output=True, check=True
    ).stdout.decode()
    assert "rules fail" in text
    assert "Credit scoring" in text


def test_the_page_knows_no_address_in_any_form(hostile_page: Path) -> None:
    """The netlog above sees what was fetched; this sees what could be on a click."""
    document = browse(hostile_page)
    links = [part.partition('"')[0] for part in document.split('href="')[1:]]
    assert links
    assert all(link.startswith("#") for link in links)
    assert json.dumps(links).count("javascript") == 0
