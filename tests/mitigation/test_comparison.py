from __future__ import annotations

import numpy as np
import pytest

from auditor.errors import InputError
from auditor.evidence import Slice
from auditor.metrics import Proportion, extreme, wilson
from auditor.mitigation import Comparison, Result
from auditor.mitigation.comparison import on_the_front
from auditor.mitigation.recipe import Constraint, Decisions, choose
from auditor.mitigation.results import evaluate, not_evaluated

A, B, C = (Slice({"g": name}) for name in "abc")


def result(
    name: str, rates: tuple[int, int], wrong: int = 0, *, size: int = 100, n: int = 2
) -> Result:
    """Select so many per group; all are right but for the first ``wrong`` records."""
    chosen = choose(name, constraint="demographic-parity", ratio=0.8)
    groups = np.repeat(np.arange(n), size)
    selected = np.concatenate([np.arange(size) < rate for rate in rates])
    y = (selected != (np.arange(groups.size) < wrong)).astype(np.int64)
    return evaluate(
        chosen, Decisions(selected), y, groups, (A, B), constraint="demographic-parity",
        confidence=0.95, baseline=None if name == "none" else np.ones(groups.size, bool),
    )  # fmt: skip


def comparison(*results: Result, constraint: Constraint = "demographic-parity") -> Comparison:
    return Comparison(
        constraint=constraint, target_ratio=0.8, confidence=0.95, seed=0, fitted_on=10,
        evaluated_on=200, groups=(A, B), results=on_the_front(results),
    )  # fmt: skip


def test_figures_worked_by_hand() -> None:
    found = result("reweighing", (20, 50), wrong=4)
    assert found.ratio is not None
    assert found.difference is not None
    assert found.accuracy is not None
    assert found.ratio.value == pytest.approx(0.4)
    assert found.difference.value == pytest.approx(0.3)
    assert found.accuracy.value == pytest.approx(0.98)
    assert found.worst == (A, B)
    low, high = wilson(196, 200, confidence=0.95)
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx((float(low), float(high)))
    assert found.ratio == extreme(
        "ratio", [[Proportion(20, 100), Proportion(50, 100)]], confidence=0.95
    )
    assert found.ratio_at_least is not None
    assert found.ratio.low is not None
    assert found.ratio.low < found.ratio_at_least < 0.4  # one side of 95 % is nearer than two
    assert found.change is not None
    assert "auc" in found.missing


def test_a_paired_change_needs_only_the_records_on_which_the_two_differ() -> None:
    ours = result("reweighing", (50, 50), wrong=0)
    assert ours.change is not None
    assert ours.change.value == pytest.approx(0.5)  # the baseline selects all, half is right
    assert ours.change.method == "tango"
    assert result("none", (50, 50)).change is None


def test_the_front_holds_what_nothing_else_beats() -> None:
    found = comparison(
        result("none", (20, 50)),
        result("reweighing", (40, 50), wrong=10),
        result("resampling", (35, 50), wrong=12),
        not_evaluated(choose("reject-option", constraint="equalized-odds", ratio=1.0), "why"),
    )
    assert [each.pareto for each in found.results] == [True, True, False, False]


def test_the_way_out_is_the_cheapest_recipe_that_passes_surely() -> None:
    found = comparison(
        result("none", (200, 500), size=1_000),
        result("reweighing", (400, 500), wrong=5, size=1_000),
        result("resampling", (490, 500), wrong=20, size=1_000),
        result("correlation-remover", (500, 500), wrong=90, size=1_000),
    )
    out = found.way_out(">= 0.8")
    assert (out.status, out.recipe) == ("sure", "resampling")
    assert "confirm it on others" in str(out)
    assert found.way_out("<= 0.1").recipe == "resampling"
    assert found.way_out(">= 0.3").status == "not-needed"


def test_a_recipe_that_only_its_value_passes_is_called_so() -> None:
    out = comparison(result("none", (20, 50)), result("reweighing", (42, 50), wrong=3)).way_out()
    assert (out.status, out.recipe) == ("likely", "reweighing")
    assert out.sentence.startswith("No recipe surely reaches a ratio >= 0.8.")


def test_where_nothing_passes_the_nearest_is_named() -> None:
    out = comparison(result("none", (20, 50)), result("reweighing", (30, 50), wrong=3)).way_out()
    assert (out.status, out.recipe) == ("none", "reweighing")
    out = comparison(result("none", (0, 0))).way_out()
    assert (out.status, out.recipe) == ("none", None)
    assert "undefined" in out.sentence


def test_at_equal_accuracy_nobodys_group_is_read() -> None:
    out = comparison(
        result("none", (20, 50)), result("correlation-remover", (60, 60), wrong=5),
        result("reweighing", (60, 60), wrong=5),
    ).way_out(">= 0.6")  # fmt: skip
    assert out.recipe == "reweighing"
    reads = comparison(result("none", (20, 50)), result("correlation-remover", (60, 60), wrong=5))
    assert "may be unlawful" in reads.way_out(">= 0.6").sentence


def test_a_group_without_records_is_listed_and_nothing_is_said_about_it() -> None:
    chosen = choose("none", constraint="equal-opportunity", ratio=0.8)
    groups = np.repeat([0, 1], 50)
    y = np.where(np.arange(100) % 2, 1, 0)
    found = evaluate(
        chosen, Decisions(y == 1), y, groups, (A, B, C), constraint="equal-opportunity",
        confidence=0.95,
    )  # fmt: skip
    assert [(rate.records, rate.reason) for rate in found.rates] == [
        (50, None), (50, None), (0, "no records"),
    ]  # fmt: skip
    assert "Nothing is said about g=c (no records)" in comparison(found).way_out().sentence


def test_equalized_odds_takes_the_worse_of_both_rates() -> None:
    chosen = choose("none", constraint="equalized-odds", ratio=0.8)
    groups = np.repeat([0, 1], 40)
    y = np.tile(np.repeat([0, 1], 20), 2)
    selected = np.concatenate([np.arange(20) < k for k in (10, 20, 5, 18)])
    found = evaluate(
        chosen, Decisions(selected), y, groups, (A, B), constraint="equalized-odds",
        confidence=0.95,
    )  # fmt: skip
    assert found.ratio is not None
    assert found.difference is not None
    assert found.ratio.value == pytest.approx(0.5)
    assert found.difference.value == pytest.approx(0.25)
    assert found.worst == (B, A)


@pytest.mark.parametrize("accept", ["0.8", "> 0.8", ">= x", "== 1"])
def test_a_rule_that_cannot_be_read_is_refused(accept: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        comparison(result("none", (20, 50))).way_out(accept)


def test_the_table_and_the_page_show_every_recipe() -> None:
    broken = not_evaluated(
        choose("reject-option", constraint="demographic-parity", ratio=0.8), "<why>"
    )
    found = comparison(result("none", (20, 50)), broken)
    frame = found.frame()
    assert frame["recipe"].tolist() == ["none", "reject-option[demographic-parity,0.8]"]
    assert frame["ratio"].tolist()[0] == pytest.approx(0.4)
    assert frame["ratio"].isna().tolist() == [False, True]
    assert frame["reason"].tolist()[1] == "<why>"
    page = found._repr_html_()
    assert page.count("<tr>") == 3
    assert "&lt;why&gt;" in page
    assert found["reject-option"] is found.results[1]
    with pytest.raises(InputError, match="was not compared"):
        found["reweighing"]
