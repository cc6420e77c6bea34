from __future__ import annotations

import pytest

from auditor.metrics import disaggregate, newcombe, wilson
from auditor.metrics.census import with_sampling
from auditor.stats import Attribute, Groups, SliceTable

SEX = Groups.declare([Attribute(name="sex", levels=("F", "M"))])


def test_counted_shares_have_their_intervals_as_samples_beside() -> None:
    counts = SliceTable.zero("missing-counts", SEX, ("records", "age"))
    counts.values[:] = [[100, 15], [40, 10], [60, 5], [0, 0]]
    name, family = "missing_rate[age]", ("sex",)
    found = with_sampling(
        disaggregate([name], counts, families=[family]), counts, family, confidence=0.95
    )
    numbers = {(n, w["sex"]): o for n, w, *_, o in found}
    share = numbers[name, "F"]
    assert (share.value, share.low, share.high) == (0.25, 0.25, 0.25)
    assert (share.also[0].low, share.also[0].high) == pytest.approx(
        tuple(map(float, wilson(10, 40, confidence=0.95)))
    )
    gap = numbers["missing_rate_difference[age]", "F"]
    assert (gap.also[0].low, gap.also[0].high) == pytest.approx(
        tuple(map(float, newcombe(10, 40, 5, 60, confidence=0.95)))
    )
    assert gap.also[0].method == "newcombe"
    assert numbers["missing_rate_ratio[age]", "F"].also[0].method == "miettinen-nurminen"
