from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.evidence import Estimate
from auditor.metrics import Absent, disaggregate
from auditor.metrics.reconciliation import RECONCILED, marginal_totals
from auditor.stats import CELLS, CONFUSION, Attribute, Groups, SliceTable, read_statistic

SELECTED = CELLS.index("unlabelled_predicted_positive")
REJECTED = CELLS.index("unlabelled_predicted_negative")

GROUPS = Groups.declare(
    [Attribute(name="sex", levels=("F", "M")), Attribute(name="race", levels=("A", "B"))]
)


def table(joint: list[tuple[int, int]]) -> SliceTable:
    counts = SliceTable.zero(CONFUSION, GROUPS, CELLS)
    counts.values[:, [SELECTED, REJECTED]] = GROUPS.marginals(np.array(joint))
    return counts


def differences(counts: SliceTable) -> dict[tuple[str, tuple[str, ...]], float]:
    found = disaggregate((), marginal_totals(counts), extremes=RECONCILED)
    out: dict[tuple[str, tuple[str, ...]], float] = {}
    for name, _, _, over, outcome in found:
        assert over
        assert isinstance(outcome, Estimate)
        assert outcome.low == outcome.value == outcome.high
        out[name, over] = outcome.value
    return out


def test_what_the_families_count_more_or_less_than_everybody() -> None:
    counts = table([(2, 3)] * 9)
    counts.family(("sex",))[0, SELECTED] -= 4  # of F, 4 of the selected are missing
    counts.family(("race",))[2, REJECTED] += 5  # and 5 unknown ones are counted besides
    assert differences(counts) == {
        ("marginal_total_difference", ("sex",)): -4,
        ("marginal_total_difference", ("race",)): 5,
        ("marginal_total_difference", ("sex", "race")): 0,
        ("marginal_selected_difference", ("sex",)): -4,
        ("marginal_selected_difference", ("race",)): 0,
        ("marginal_selected_difference", ("sex", "race")): 0,
    }


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=9, max_size=9))
def test_families_that_were_added_up_agree(joint: list[tuple[int, int]]) -> None:
    assert set(differences(table(joint)).values()) == {0}


def test_a_single_group_is_no_family() -> None:
    counts = table([(2, 3), *[(0, 0)] * 8])
    found = disaggregate((), marginal_totals(counts), extremes=RECONCILED)
    assert {outcome for *_, outcome in found} == {Absent("only one group holds records")}


def test_the_json_form_reads_back() -> None:
    totals = marginal_totals(table([(2, 3)] * 9))
    assert read_statistic(totals.to_json(), where="here") == totals
    assert totals.values.dtype == np.int64
    fractional = SliceTable(CONFUSION, GROUPS, CELLS, table([(2, 3)] * 9).values / 2)
    assert marginal_totals(fractional).family(("sex",))[0, 1] == pytest.approx(22.5)
