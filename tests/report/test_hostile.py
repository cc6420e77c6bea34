"""Names that want to be markup: in values, columns, policies and documentation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from auditor.ledger import RunRecord
from auditor.report import render
from auditor.stats import SliceTable

from .conftest import RUN_JSON, StartRun
from .test_html import Page

SCRIPT = "<script>document.documentElement.dataset.ran=1</script>"
EVENT = '"><img src=//evil.example/i onerror=document.documentElement.dataset.ran=2>'
TEMPLATE = "{{7*7}}{% for x in y %}"
LINK = "x](javascript:alert(3)) [y](http://evil.example/z)"
CELLS = "a | b\n| --- | --- |\n# heading `code` **bold** <b>x</b> &lt; www.evil.example"
TURNED = "abc\u202egnp.exe\u2066\u200b"
LONG = "L" * 10_000
HOSTILE = (SCRIPT, EVENT, TEMPLATE, LINK, CELLS, TURNED, LONG)

POLICY = f"""\
schema: auditor/policy/v1
id: hostile
version: 1.0.0
title: {json.dumps(SCRIPT + TEMPLATE + LINK)}
rules:
  - id: parity
    title: {json.dumps(EVENT + TEMPLATE + CELLS.replace(chr(10), " "))}
    metric: selection_rate_ratio
    stage: evaluation
    accept: ">= 0.8"
    cites: [{json.dumps("law:" + SCRIPT)}]
waivers:
  - {{rule: parity, slice: {{town: {json.dumps(SCRIPT)}}}, owner: {json.dumps(EVENT)},
     reason: {json.dumps(LINK)}, expires: 2020-01-01}}
"""


def make_hostile(start_run: StartRun, confusion: Callable[..., SliceTable]) -> RunRecord:
    run = start_run("hostile", policy=POLICY)
    counts: dict[tuple[str | None, str | None], list[int]] = {
        (name, "M"): [200 + 50 * i, 20 + 30 * i, 40, 90] for i, name in enumerate(HOSTILE)
    }
    counts[(SCRIPT, EVENT)] = [30, 9, 8, 33]
    column = SCRIPT + EVENT
    run.writer.append(
        "data",
        {"tables": {SCRIPT: {"name": EVENT, "rows": 9, "columns": list(HOSTILE), "method": LINK,
                             "digest": SCRIPT, "files": [{"name": LONG, "bytes": 1,
                                                          "digest": EVENT}]}}},
    )  # fmt: skip
    run.writer.append("attach", {"model": SCRIPT, "optimizer": EVENT, "criterion": TEMPLATE})
    run.writer.append("checkpoint", {"file": LINK, "digest": EVENT, "format": SCRIPT})
    for look in (1, 2):
        run.measure(
            "bias.group-metrics", confusion(counts, (column, "town")), stage="training", look=look
        )
    run.measure("bias.group-metrics", confusion(counts, (column, "town")))
    run.fail_to_measure("explainability.attributions", "evaluation", SCRIPT + LINK + CELLS)
    run.judge()
    return run.finish(
        {
            **RUN_JSON,
            "key_note": SCRIPT,
            "started": LINK,
            "finished": SCRIPT + "T" + LINK,
            "packages": {SCRIPT: EVENT},
            "system": {name: HOSTILE[i % 7] for i, name in enumerate(
                ("name", "provider", "purpose", "users", "misuse", SCRIPT, LINK))},
            "audit": {"target": SCRIPT, "prediction": LINK, "sensitive": list(HOSTILE),
                      "bins": {EVENT: [1]}, "reference": {SCRIPT: LINK}},
        }
    )  # fmt: skip


@pytest.fixture
def hostile(start_run: StartRun, confusion: Callable[..., SliceTable]) -> RunRecord:
    return make_hostile(start_run, confusion)


def test_no_name_becomes_markup_in_the_page(hostile: RunRecord) -> None:
    text = render(hostile, "html").decode()
    page = Page(text).root
    (script,) = page.all("script")
    assert "dataset.ran" not in script.content
    assert not page.all("img")
    assert "x" not in {node.content for node in page.all("b")}
    for node in page.all():
        assert not [name for name in node.attributes if name.startswith("on")]
        assert "javascript:" not in node.attributes.get("href", "")
    assert SCRIPT in page.content
    assert "{{7*7}}" in page.content
    assert "‹U+202E›" in page.content


def test_what_stands_in_a_name_is_never_a_template(hostile: RunRecord) -> None:
    for format in ("html", "md", "json"):
        assert "49{" not in render(hostile, format).decode()


def test_long_names_are_cut_and_the_page_stays_small(hostile: RunRecord) -> None:
    text = render(hostile, "html").decode()
    assert "L" * 500 not in text
    assert "10,000 characters" in text
    assert len(text) < 1_000_000


def test_markdown_holds_no_link_no_html_and_whole_tables(hostile: RunRecord) -> None:
    text = render(hostile, "md").decode()
    tokens = MarkdownIt("commonmark", {"linkify": False}).enable("table").parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    assert not {"link_open", "html_inline", "image"} & {token.type for token in inline}
    assert "html_block" not in {token.type for token in tokens}
    widths: list[int] = []
    for token in tokens:
        if token.type == "tr_open":
            widths.append(0)
        elif token.type in ("th_open", "td_open"):
            widths[-1] += 1
        elif token.type == "table_close":
            assert len(set(widths)) == 1
            widths = []
    headings = [tokens[i + 1].content for i, t in enumerate(tokens) if t.type == "heading_open"]
    assert "heading" not in headings
    assert "http\\://evil" in text
    assert "http://" not in text


def test_json_keeps_names_whole_where_it_quotes_findings(hostile: RunRecord) -> None:
    document = json.loads(render(hostile, "json"))
    values: set[Any] = {v for f in document["findings"] for v in f["slice"].values()}
    assert set(HOSTILE) <= values


def test_a_run_named_like_an_option_or_a_command_stays_one_argument(
    start_run: StartRun, tmp_path: Path
) -> None:
    run = start_run("a; rm -rf ~")
    record = run.finish()
    text = render(record, "html").decode()
    assert "auditor verify &#39;a; rm -rf ~&#39;" in text
