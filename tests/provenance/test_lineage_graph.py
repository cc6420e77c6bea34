from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.provenance.lineage import Data, How, Lineage, lineage_of
from auditor.provenance.lineage_graph import lineage_svg

SVG = "{http://www.w3.org/2000/svg}"
RAW = Data(id="source:raw", name="raw", kind="source", rows=100)


def table(number: int, name: str = "t", rows: int | None = None) -> Data:
    return Data(id=f"blake3:{number}", name=name, rows=rows)


def drawn(lineage: Lineage) -> ElementTree.Element:
    return ElementTree.fromstring(lineage_svg(lineage))


def boxes(root: ElementTree.Element) -> list[tuple[float, float, float, float]]:
    return [
        tuple(float(rect.attrib[name]) for name in ("x", "y", "width", "height"))  # type: ignore[misc]
        for rect in root.iter(f"{SVG}rect")
    ]


def some() -> Lineage:
    return (
        Lineage(sources=(RAW,))
        .derive(table(1, "clean", 90), [RAW], How(name="drop missing"))
        .derive((table(2, "train", 60), table(3, "test", 30)), ["blake3:1"],
                How(name="split", kind="split", seed=7))
        .derive(table(4, "both", 130), ["blake3:2", "source:raw"], How(name="join"))
    )  # fmt: skip


def test_a_picture_names_what_it_shows() -> None:
    root = drawn(some())
    assert root.find(f"{SVG}title").text == "How the data were made"  # type: ignore[union-attr]
    description = root.find(f"{SVG}desc").text  # type: ignore[union-attr]
    assert description is not None
    assert "split: clean to train, test." in description
    titles = [group.find(f"{SVG}title").text for group in root.iter(f"{SVG}g")]  # type: ignore[union-attr]
    assert "drop missing: 10 rows dropped" in titles
    assert "split: 90 rows split, seed 7" in titles
    assert root.attrib["role"] == "img"


def test_the_same_lineage_gives_the_same_bytes() -> None:
    assert lineage_svg(some()) == lineage_svg(some())


def test_nothing_is_loaded_from_outside_and_no_colour_is_fixed() -> None:
    text = lineage_svg(some())
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"href|url\(|<script|<style|#[0-9a-f]{3}", text)


EDGES = st.lists(
    st.tuples(st.lists(st.integers(0, 12), min_size=1, max_size=3), st.integers(1, 3)), max_size=8
)


@given(EDGES)
def test_boxes_lie_inside_the_picture_apart_and_below_what_they_come_from(
    edges: list[tuple[list[int], int]],
) -> None:
    lineage, made = Lineage(sources=(RAW, table(0), table(100))), [RAW, table(0), table(100)]
    for position, (inputs, outputs) in enumerate(edges):
        before = [made[i % len(made)] for i in inputs]
        after = [table(1_000 * (position + 1) + i) for i in range(outputs)]
        lineage = lineage.derive(after, list(dict.fromkeys(before)), How(name=f"f{position}"))
        made += after
    root = drawn(lineage)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    found = boxes(root)
    assert len(found) == len(made) + len(edges)
    for x, y, w, h in found:
        assert x >= 0
        assert y >= 0
        assert x + w <= width
        assert y + h <= height
    for i, (x, y, w, _) in enumerate(found):
        assert not any(y == other[1] and abs(x - other[0]) < w for other in found[:i])
    ends = re.findall(r'd="M[\d.]+ ([\d.]+)C[^"]*? ([\d.]+)" fill="none"', lineage_svg(lineage))
    assert all(float(start) < float(end) for start, end in ends)


@given(st.text(max_size=60))
def test_any_name_is_well_formed_xml_and_cut_where_it_is_long(name: str) -> None:
    data = Data.model_construct(id="x", name=name, kind="table", rows=None)
    root = drawn(Lineage.model_construct(sources=(data,), derivations=()))
    text = next(root.iter(f"{SVG}text")).text or ""
    assert len(text) <= 38


def test_a_name_cannot_bring_markup() -> None:
    root = drawn(Lineage(sources=(Data(id="x", name='<script>"&\u202e'),)))
    assert next(root.iter(f"{SVG}text")).text == '<script>"&‹U+202E›'
    assert not list(root.iter(f"{SVG}script"))


def test_an_empty_lineage_says_so() -> None:
    assert "No data are recorded." in lineage_svg(Lineage())


def test_a_large_lineage_says_what_is_left_out() -> None:
    lineage, _ = lineage_of(
        {"inputs": [table(i).to_json()], "outputs": [table(i + 1).to_json()], "how": {"name": "f"}}
        for i in range(1_000)
    )
    text = lineage_svg(lineage)
    assert "… and 1,601 more" in text
    assert len(boxes(ElementTree.fromstring(text))) == 400


def test_what_failed_and_what_changed_nothing_is_seen() -> None:
    lineage = some().derive((), ["blake3:2"], How(name="balance", error="KeyError"))
    lineage = lineage.derive(table(3, "test", 30), ["blake3:3"], How(name="deduplicate"))
    titles = [group.find(f"{SVG}title").text for group in drawn(lineage).iter(f"{SVG}g")]  # type: ignore[union-attr]
    assert "balance: KeyError" in titles
    assert "deduplicate: nothing changed" in titles


@pytest.mark.browser
def test_no_text_leaves_its_box_in_a_browser(tmp_path) -> None:
    import shutil
    import subprocess

    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("there is no browser")
    names = [
        "W" * 60,
        "i" * 90,
        "a sentence of ordinary words that goes on and on",
        "M" * 21,
        "合" * 40,
    ]
    lineage = Lineage(sources=tuple(Data(id=n, name=n, kind="source", rows=1) for n in names))
    page = tmp_path / "page.html"
    script = (
        "for (const g of document.querySelectorAll('g')) { const r = g.querySelector('rect')"
        ".getBBox(); for (const t of g.querySelectorAll('text')) { const b = t.getBBox();"
        "document.title += b.x >= r.x && b.x + b.width <= r.x + r.width ? ' in' : ' OUT'; } }"
    )
    page.write_text(
        f"<meta charset=utf-8><title></title>{lineage_svg(lineage)}<script>{script}</script>"
    )
    shown = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    title = re.search(r"<title>(.*?)</title>", shown.stdout)
    assert title is not None
    assert title[1].split() == ["in"] * 2 * len(names)
