"""Text made fit to be shown: nothing hidden, nothing endless."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.evidence import Slice
from auditor.report.text import metric_name, metric_title, shown, slice_text

HIDDEN = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(st.text(max_size=400), st.integers(min_value=1, max_value=120))
def test_what_is_shown_is_one_visible_line_of_bounded_length(text: str, limit: int) -> None:
    out = shown(text, limit=limit)
    assert "\n" not in out
    assert out
    assert all(unicodedata.category(c) not in HIDDEN | {"Cf"} or c in "\u200c\u200d" for c in out)
    assert len(out) <= 12 * limit + 60
    out.encode("utf-8")


@pytest.mark.parametrize("control", ["\u202e", "\u2066", "\u200f", "\u200b", "\ufeff", "\x1b"])
def test_what_turns_or_hides_text_is_spelled_out(control: str) -> None:
    assert shown(f"a{control}b") == f"a‹U+{ord(control):04X}›b"


def test_letters_of_other_scripts_stay_as_they_are() -> None:
    for word in ("Überprüfung", "审计", "مراجعة", "नियम", "می‌خواهم"):
        assert shown(word) == word


def test_a_cut_name_says_so_and_stays_distinct() -> None:
    one, two = shown("a" * 10_000), shown("a" * 9_999 + "b")
    assert "10,000 characters" in one
    assert one != two
    assert len(one) < 200


def test_nothing_and_blanks_are_named() -> None:
    assert shown("") == "‹empty›"
    assert shown("   ") == "‹blank›"


def test_a_slice_names_its_attributes_and_what_is_unknown() -> None:
    assert slice_text(Slice({"sex": "F", "race": None})) == "race unknown, sex F"


@pytest.mark.parametrize(
    ("metric", "name"),
    [("missing_rate[a]b]", ("missing_rate", "a]b")), ("odd[", ("odd", "")), ("auc", ("auc", None))],
)
def test_any_parameter_is_split_off(metric: str, name: tuple[str, str | None]) -> None:
    assert metric_name(metric) == name


def test_titles_of_comparisons_read_as_words() -> None:
    assert metric_title("false_positive_rate_difference") == "Difference in false positive rates"
    assert metric_title("auc_ratio") == "Ratio of area under the ROC curve"
    assert metric_title("a_plugins_own_metric") == "A plugins own metric"
