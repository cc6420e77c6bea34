"""Charts: well-formed for any numbers and names, and readable without colour."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.policy import parse_region
from auditor.report.axes import Axis, linear_axis
from auditor.report.charts import (
    Line,
    axis_backdrop,
    axis_labels,
    bar_mark,
    interval_mark,
    line_chart,
    status_bar,
)

AXIS = Axis(0.0, 1.0, (0.0, 0.5, 1.0), reference=0.5)
NUMBER = st.floats(min_value=-2, max_value=3)
BOUND = st.none() | NUMBER
NAME = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=30)


def numbers(mark: str) -> list[float]:
    """Return the x of every dot and ring."""
    return [float(e.get("cx", "nan")) for e in ET.fromstring(mark).iter() if e.tag == "circle"]


@given(NUMBER, BOUND, BOUND)
def test_a_mark_is_well_formed_and_stays_in_its_box(
    value: float, low: float | None, high: float | None
) -> None:
    mark = interval_mark(AXIS, value, low, high, outer=(low, high))
    assert all(0 <= x <= 120 for x in numbers(mark))
    assert ET.fromstring(mark).get("aria-hidden") == "true"


def test_a_larger_value_lies_further_right() -> None:
    positions = [numbers(interval_mark(AXIS, v / 10, 0, 1))[0] for v in range(11)]
    assert positions == sorted(positions)
    assert len(set(positions)) == 11


def test_a_value_beyond_the_axis_is_an_arrow_and_no_dot() -> None:
    assert not numbers(interval_mark(AXIS, 2.0, 1.5, None))


def test_no_difference_is_told_by_shape() -> None:
    assert 'class="ring"' in interval_mark(AXIS, 0.5, 0.4, 0.6, hollow=True)
    assert 'class="dot"' in interval_mark(AXIS, 0.9, 0.8, 1.0)


@pytest.mark.parametrize(
    ("accept", "left", "right"), [(">= 0.5", 60, 120), ("<= 0.5", 0, 60), ("0 .. 1", 6, 114)]
)
def test_the_accepted_region_covers_what_is_accepted(
    accept: str, left: float, right: float
) -> None:
    symbol = ET.fromstring(axis_backdrop("a", AXIS, parse_region(accept)))
    rect = next(e for e in symbol.iter() if e.get("class") == "accept")
    x, width = float(rect.get("x", "nan")), float(rect.get("width", "nan"))
    assert (x, x + width) == (left, right)


def test_labels_of_an_axis_never_cover_each_other() -> None:
    for axis in (
        Axis(-0.15, 0.05, (-0.15, -0.1, -0.05, 0.0, 0.05), reference=0.0),
        Axis(0.1, 1.25, (0.1, 1.0, 1.25), scale="log", reference=1.0),
    ):
        spans = []
        for text in ET.fromstring(axis_labels(axis)).iter("text"):
            half = 5.4 * len(text.text or "") / 2
            middle = float(text.get("x", "nan"))
            spans.append((middle - half, middle + half))
        spans.sort()
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
        assert any(e.text in {"0", "1"} for e in ET.fromstring(axis_labels(axis)))


def test_a_bar_starts_at_zero() -> None:
    rect = next(e for e in ET.fromstring(bar_mark(AXIS, 0.5)).iter() if e.tag == "rect")
    assert (float(rect.get("x", "nan")), float(rect.get("width", "nan"))) == (6, 54)


@given(st.lists(st.tuples(st.sampled_from(["pass", "fail"]), NAME, st.integers(0, 9)), max_size=6))
def test_the_bar_of_statuses_names_every_number(parts: list[tuple[str, str, int]]) -> None:
    bar = ET.fromstring(status_bar(parts, title="Rules"))
    assert len(list(bar.iter("rect"))) == sum(number > 0 for _, _, number in parts)
    label = bar.get("aria-label", "")
    assert all(name in label for _, name, number in parts if number)


@given(st.lists(st.tuples(NAME, st.lists(NUMBER, min_size=1, max_size=6)), max_size=5))
def test_a_line_chart_holds_every_line_and_a_description(
    lines: list[tuple[str, list[float]]],
) -> None:
    drawn = [
        Line(name, tuple((float(i), v, v - 0.1, v + 0.1) for i, v in enumerate(values)))
        for name, values in lines
    ]
    axis = linear_axis([v for _, values in lines for v in values])
    chart = ET.fromstring(line_chart(drawn, axis, title="Loss & more", x_title="look"))
    assert chart.get("role") == "img"
    assert chart.findtext("title") == "Loss & more"
    assert chart.find("desc") is not None
    assert len([e for e in chart.iter("path") if "line" in e.get("class", "")]) == len(lines)
