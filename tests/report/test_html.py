"""The page: whole, self-contained, in order for a screen reader, and deaf to hostile names."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser

import pytest

from auditor.ledger import RunRecord
from auditor.report import make_view, render
from auditor.stats import SliceTable, Statistic

from .conftest import StartRun

VOID = {"meta", "br", "col", "link", "img", "hr", "input"}
DRAWN = {"path", "rect", "circle", "use"}


@dataclass
class Node:
    tag: str
    attributes: dict[str, str]
    children: list[Node] = field(default_factory=list)
    text: str = ""

    def all(self, *tags: str) -> list[Node]:
        found = [self] if self.tag in tags or not tags else []
        return found + [node for child in self.children for node in child.all(*tags)]

    @property
    def content(self) -> str:
        return self.text + "".join(child.content for child in self.children)


class Page(HTMLParser):
    """A strict reader: every element that is opened is closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("", {})
        self.open = [self.root]
        self.feed(text)
        self.close()
        assert [node.tag for node in self.open] == [""], "an element is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> repeats an attribute"
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in DRAWN | VOID, f"<{tag}/> does not close in HTML"
        self.open[-1].children.append(Node(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(Node("#text", {}, text=data))


def read(record: RunRecord) -> Node:
    return Page(render(record, "html").decode()).root


@pytest.fixture
def whole_run(
    start_run: StartRun,
    confusion: Callable[..., SliceTable],
    scores: Statistic,
    attributions: SliceTable,
) -> RunRecord:
    """A run with every section."""
    run = start_run()
    for look in (1, 2):
        run.measure("bias.group-metrics", confusion(), stage="training", look=look)
    run.measure("bias.group-metrics", confusion(), scores)
    run.measure("explainability.attributions", attributions)
    run.fail_to_measure("provenance.overlap", "data", "it broke", error=True)
    run.judge()
    return run.finish()


def test_ids_are_given_once_and_links_lead_somewhere(whole_run: RunRecord) -> None:
    page = read(whole_run)
    ids = [node.attributes["id"] for node in page.all() if "id" in node.attributes]
    assert len(ids) == len(set(ids))
    links = {node.attributes["href"] for node in page.all("a", "use")}
    assert links
    assert all(link.startswith("#") and link[1:] in ids for link in links)
    named = {node.attributes["aria-labelledby"] for node in page.all() if
             "aria-labelledby" in node.attributes}  # fmt: skip
    assert named <= set(ids)


def test_nothing_is_loaded_from_anywhere(whole_run: RunRecord) -> None:
    text = render(whole_run, "html").decode()
    assert not re.search(r"https?://|//[a-z]|@import|url\(|javascript:", text, re.IGNORECASE)
    page = Page(text).root
    for node in page.all():
        assert not {"src", "srcset", "style", "onclick", "onload", "action"} & set(node.attributes)
    assert not page.all("link", "img", "iframe", "object", "embed", "form", "base")


def test_the_policy_of_the_page_allows_its_own_style_and_script_alone(whole_run: RunRecord) -> None:
    page = read(whole_run)
    policy = next(
        node.attributes["content"] for node in page.all("meta")
        if node.attributes.get("http-equiv") == "Content-Security-Policy"
    )  # fmt: skip
    (style,), (script,) = page.all("style"), page.all("script")
    for kind, node in (("style", style), ("script", script)):
        digest = base64.b64encode(hashlib.sha256(node.content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_headings_descend_one_by_one(whole_run: RunRecord) -> None:
    levels = [int(node.tag[1]) for node in read(whole_run).all("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_tables_have_captions_and_their_headers_a_scope(whole_run: RunRecord) -> None:
    tables = read(whole_run).all("table")
    assert len(tables) > 20
    for table in tables:
        assert table.all("caption")
        assert table.all("caption")[0].content.strip()
        assert all(header.attributes.get("scope") for header in table.all("th"))
        for row in table.all("tr"):
            spans = [int(cell.attributes.get("colspan", "1")) for cell in row.all("td", "th")]
            columns = len(table.all("col"))
            assert not columns or sum(spans) == columns


def test_landmarks_and_language_are_there(whole_run: RunRecord) -> None:
    page = read(whole_run)
    for tag in ("main", "nav", "header", "footer"):
        assert page.all(tag)
    assert page.all("html")[0].attributes["lang"] == "en"
    assert page.all("title")[0].content == "Audit report: Credit scoring"
    assert page.all("a")[0].attributes["href"] == "#main"


def test_charts_are_named_or_hidden_from_screen_readers(whole_run: RunRecord) -> None:
    for chart in read(whole_run).all("svg"):
        hidden = chart.attributes.get("aria-hidden") == "true"
        named = chart.attributes.get("aria-label") or [
            node for node in chart.children if node.tag == "title"
        ]
        assert hidden != bool(named)


def test_the_verdict_comes_first_and_the_sections_in_order(whole_run: RunRecord) -> None:
    (main,) = read(whole_run).all("main")
    sections = [node.attributes["id"] for node in main.children if node.tag == "section"]
    assert sections == [
        "verdict", "judged", "rules", "findings", "explanations", "training", "absent",
        "provenance", "verify", "limits", "appendix",
    ]  # fmt: skip


def test_status_is_told_by_word_and_shape_and_not_by_colour_alone(whole_run: RunRecord) -> None:
    page = read(whole_run)
    chips = [node for node in page.all("span") if "chip" in node.attributes.get("class", "")]
    assert chips
    for chip in chips:
        assert chip.content.strip()
        (use,) = chip.all("use")
        assert use.attributes["href"].startswith("#i-")


def test_every_rule_appears_with_its_reason_and_clauses(whole_run: RunRecord) -> None:
    text = read(whole_run).content
    assert whole_run.verdict is not None
    for rule in whole_run.verdict.rules:
        assert rule.title in text
        assert rule.reason in text
        assert all(clause in text for clause in rule.cites)


def test_every_number_shown_leads_to_its_evidence(whole_run: RunRecord) -> None:
    page = read(whole_run)
    view = make_view(whole_run)
    evidence = {item.name: item.digest for item in view.evidence.values()}
    rows = {node.attributes["id"]: node.content for node in page.all("tr")
            if "id" in node.attributes}  # fmt: skip
    assert all(digest in rows[name] for name, digest in evidence.items())

    def walk(node: Node, inherited: str | None) -> None:
        source = node.attributes.get("data-evidence", inherited)
        identifier = node.attributes.get("id", "")
        if re.fullmatch(r"f\d+", identifier):
            finding = view.findings[int(identifier[1:])]
            if finding.status == "measured":
                shown = {evidence[name] for name in (source or "").split()}
                assert set(finding.evidence) <= shown
        for child in node.children:
            walk(child, source)

    walk(page, None)


def test_what_was_not_measured_appears_with_its_reason(whole_run: RunRecord) -> None:
    (section,) = [n for n in read(whole_run).all("section") if n.attributes.get("id") == "absent"]
    for finding in whole_run.findings:
        if finding.status != "measured":
            assert (finding.reason or "") in section.content
    assert "Error: it broke" in section.content


def test_a_page_without_a_policy_has_no_rules_and_says_so(
    start_run: StartRun, confusion: Callable[..., SliceTable]
) -> None:
    run = start_run(policy=None)
    run.measure("bias.group-metrics", confusion())
    page = read(run.finish())
    assert "no policy was registered" in page.content
    assert not [n for n in page.all("section") if n.attributes.get("id") == "rules"]


def test_a_usual_page_stays_under_a_megabyte(whole_run: RunRecord) -> None:
    assert len(render(whole_run, "html")) < 1_000_000
