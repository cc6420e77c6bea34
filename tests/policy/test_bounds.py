from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.evidence import Estimate, Slice
from auditor.metrics import Census, Mean, Proportion, Sample, scaled
from auditor.policy.bounds import Contrasts, bounds, interval, outcomes

proportions = st.tuples(st.integers(0, 60), st.integers(1, 60)).map(
    lambda pair: Proportion(min(pair), pair[1])
)
means = st.builds(Mean, st.floats(0.1, 1), st.floats(0, 0.3), st.integers(2, 99), st.just("normal"))
samples = st.lists(proportions, min_size=2, max_size=6) | st.lists(means, min_size=2, max_size=6)


def pairs(found: list[Sample], operation: str | None) -> Contrasts:
    labels = tuple(Slice({"g": str(i)}) for i in range(len(found)))
    if operation is None:
        return Contrasts("m", None, labels, tuple(found), np.arange(len(found)))
    ours, theirs = np.nonzero(~np.eye(len(found), dtype=bool))
    return Contrasts("m", operation, labels, tuple(found), ours, theirs)  # type: ignore[arg-type]


@pytest.mark.parametrize("operation", [None, "difference", "ratio"])
@given(found=samples, confidence=st.sampled_from([0.8, 0.9, 0.95, 0.999]))
def test_arrays_and_estimates_give_the_same_numbers(
    operation: str | None, found: list[Sample], confidence: float
) -> None:
    contrasts = pairs(found, operation)
    for numbers, outcome in zip(
        zip(*bounds(contrasts, confidence=confidence), strict=True),
        outcomes(contrasts, confidence=confidence), strict=True,
    ):  # fmt: skip
        expected = (
            (outcome.value, *interval(outcome)) if isinstance(outcome, Estimate) else (np.nan,) * 3
        )
        assert numbers == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True)


@given(found=samples, factors=st.lists(st.floats(1, 1e4), min_size=1, max_size=3))
def test_grown_contrasts_are_those_of_scaled_samples(
    found: list[Sample], factors: list[float]
) -> None:
    contrasts = pairs(found, "difference").take(np.array([1, 0]))
    grown = bounds(contrasts.grown(factors), confidence=0.9)
    for number, factor in enumerate(factors):
        larger = pairs([scaled(sample, factor) for sample in found], "difference")
        expected = bounds(larger.take(np.array([1, 0])), confidence=0.9)
        place = slice(2 * number, 2 * number + 2)
        for left, right in zip(grown, expected, strict=True):
            assert left[place] == pytest.approx(right, abs=1e-9)


def test_a_slice_that_is_set_aside_takes_part_on_neither_side() -> None:
    contrasts = pairs([Proportion(1, 2), Proportion(1, 3), Proportion(1, 4)], "ratio")
    rest = contrasts.without({Slice({"g": "1"})})
    assert [(int(a), int(b)) for a, b in zip(rest.ours, rest.theirs, strict=True)] == [
        (0, 2), (2, 0),
    ]  # fmt: skip


def test_what_was_counted_has_no_interval() -> None:
    value, low, high = bounds(pairs([Census(0.25, 100), Census(0.5, 10)], None), confidence=0.9)
    assert value.tolist() == low.tolist() == high.tolist() == [0.25, 0.5]


def test_no_contrasts_have_no_bounds() -> None:
    contrasts = pairs([Proportion(1, 2), Proportion(1, 3)], "ratio").take(np.zeros(0, np.intp))
    assert bounds(contrasts, confidence=0.9).value.size == 0
