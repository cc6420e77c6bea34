"""What a family of intervals promises together, held against many drawn tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from auditor.evidence import Estimate
from auditor.metrics import Proportion, extreme, newcombe, wilson
from auditor.metrics.bayes import dirichlet_multinomial
from auditor.metrics.best import with_the_best
from auditor.metrics.bootstrap import Bootstrapped, bootstrap_interval, percentile_interval
from auditor.metrics.critical_values import bonferroni
from auditor.metrics.largest_gap import BetweenGroups, between_group_variance, bias_corrected_gap
from auditor.metrics.resampling import stratified_replicates
from auditor.metrics.simultaneous import max_t_bands, sidak_wilson, simultaneous_differences

pytestmark = pytest.mark.slow

Figures = Callable[[str, dict[str, Any]], None]

SIZES = (30, 100, 300, 1_000)


def margin(draws: int) -> float:
    """Two standard errors of a coverage of 95 % that is estimated from so many tables."""
    return 2 * float(np.sqrt(0.95 * 0.05 / draws))


@pytest.mark.parametrize("slices", [2, 5, 15, 30, 60])
def test_the_intervals_of_all_slices_hold_together(slices: int, figures: Figures) -> None:
    """At rates of all kinds, and at the one rate that is worst for Wilson's intervals alone."""
    draws, rng = 1_000, np.random.default_rng(slices)
    found: dict[str, float] = {}
    for name, rates, sizes in (
        ("mixed rates", rng.uniform(0.02, 0.6, slices), np.resize(SIZES, slices)),
        ("worst rate, n = 30", np.full(slices, 0.15), np.full(slices, 30)),
        ("worst rate, n = 100", np.full(slices, 0.05), np.full(slices, 100)),
        ("n = 1000", rng.uniform(0.02, 0.6, slices), np.full(slices, 1_000)),
    ):
        hits = alone = 0
        for x in rng.binomial(sizes, rates, (draws, slices)):
            bands = sidak_wilson(x, sizes, confidence=0.95)
            hits += bool(np.all((bands.low <= rates) & (rates <= bands.high)))
            low, high = wilson(x, sizes, confidence=0.95)
            alone += bool(np.all((low <= rates) & (rates <= high)))
        found[name] = hits / draws
        found[f"{name}, one by one"] = alone / draws
        assert hits / draws >= 0.94, name
    figures(f"simultaneous coverage, {slices} slices", found)
    if slices >= 15:
        assert found["mixed rates, one by one"] < 0.7


@pytest.mark.parametrize(
    ("shape", "records"), [((2, 3), 3_000), ((4, 5), 6_000), ((4, 5), 200_000), ((3, 4, 2), 50_000)]
)
def test_slices_that_overlap_hold_together(
    shape: tuple[int, ...], records: int, figures: Figures
) -> None:
    """Marginals and intersections of attributes share their records, and one critical value."""
    cells = np.array(list(np.ndindex(*shape)))
    membership = np.concatenate(
        [[cells[:, a] == value] for a, size in enumerate(shape) for value in range(size)]
        + [np.eye(len(cells), dtype=bool)]
    )
    draws, rng = 300, np.random.default_rng(records)
    shares, rates = rng.dirichlet(np.full(len(cells), 3.0)), rng.uniform(0.1, 0.4, len(cells))
    hits, critical = 0, []
    for draw in range(draws):
        n = rng.multinomial(records, shares)
        x = rng.binomial(n, rates)
        joint = np.stack([x, n - x], axis=1)
        bands = max_t_bands(
            membership @ x, membership @ n, confidence=0.95, joint=joint, membership=membership,
            replicates=1_000, seed=draw,
        )  # fmt: skip
        truth = (membership @ (shares * rates)) / (membership @ shares)
        hits += bool(np.all((bands.low <= truth) & (truth <= bands.high)))
        critical.append(bands.critical)
    most = bonferroni(len(membership), confidence=0.95)
    figures(
        f"max-t coverage, {len(membership)} slices that overlap, {records} records",
        {"coverage": hits / draws, "critical": np.mean(critical), "bonferroni": most},
    )
    assert hits / draws >= 0.95 - margin(draws)
    assert np.mean(critical) <= most


@pytest.mark.parametrize("groups", [2, 4, 8, 16])
@pytest.mark.parametrize("reference", [None, 0])
def test_differences_hold_together(groups: int, reference: int | None, figures: Figures) -> None:
    draws, rng = 400, np.random.default_rng(groups)
    found: dict[str, float] = {}
    for name, rates, sizes in (
        ("equal rates", np.full(groups, 0.3), np.resize(SIZES, groups)),
        ("small groups", np.full(groups, 0.15), np.resize((30, 1_000), groups)),
        ("mixed rates", np.resize((0.1, 0.2, 0.35, 0.5), groups), np.resize((200, 90), groups)),
    ):
        hits = 0
        for x in rng.binomial(sizes, rates, (draws, groups)):
            bands = simultaneous_differences(x, sizes, confidence=0.95, reference=reference)
            truth = rates[bands.pairs[:, 0]] - rates[bands.pairs[:, 1]]
            hits += bool(np.all((bands.low <= truth) & (truth <= bands.high)))
        found[name] = hits / draws
        assert hits / draws >= 0.95 - margin(draws), name
    kind = "all pairs" if reference is None else "one reference"
    figures(f"simultaneous differences, {groups} groups, {kind}", found)


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.3, 0.5])
@pytest.mark.parametrize("sizes", [(101, 211), (300, 300), (997, 499)])
def test_two_equal_groups_are_told_apart_in_one_table_of_twenty(
    rate: float, sizes: tuple[int, int], figures: Figures
) -> None:
    """Summed over all tables, not drawn: the interval of two groups is Newcombe's of their pair."""
    (m, n), (x, y) = sizes, (np.arange(size + 1) for size in sizes)
    low, high = newcombe(x[:, None], m, y[None, :], n, confidence=0.95)
    chance = binom.pmf(x, m, rate)[:, None] * binom.pmf(y, n, rate)[None, :]
    covered = float(chance[(low <= 0) & (high >= 0)].sum())
    pair = [Proportion(30, 101), Proportion(80, 211)]
    found = extreme("difference", [pair], confidence=0.95)
    assert isinstance(found, Estimate)
    assert found.high == pytest.approx(
        float(newcombe(80, 211, 30, 101, confidence=0.95)[1]), rel=1e-12
    )
    figures(f"largest gap, 2 equal groups of {m} and {n} at {rate}", {"exact coverage": covered})
    assert 0.945 <= covered <= 0.96


@pytest.mark.parametrize("groups", [2, 4, 8, 16])
def test_no_gap_is_found_to_be_none_and_percentiles_of_the_maximum_never_see_it(
    groups: int, figures: Figures
) -> None:
    draws, rng = 600, np.random.default_rng(groups)
    sizes = np.resize([101, 211, 499, 997], groups)  # rates that are never exactly equal
    hits = ratio_hits = percentile_hits = 0
    for draw in range(draws):
        x = rng.binomial(sizes, 0.3)
        samples = [Proportion(float(a), float(b)) for a, b in zip(x, sizes, strict=True)]
        found = extreme("difference", [samples], confidence=0.95)
        assert isinstance(found, Estimate)
        hits += found.low == 0
        if draw < 200:
            ratio = extreme("ratio", [samples], confidence=0.95)
            assert isinstance(ratio, Estimate)
            ratio_hits += ratio.high == 1
        if draw < 300:
            table = np.stack([x, sizes - x], axis=1)
            drawn = stratified_replicates(table, replicates=500, seed=draw)[..., 0] / sizes
            low, _ = percentile_interval(np.ptp(drawn, axis=1), confidence=0.95)
            percentile_hits += low <= 0
    figures(
        f"largest gap, {groups} equal groups",
        {"coverage": hits / draws, "ratio": ratio_hits / 200, "percentiles": percentile_hits / 300},
    )
    assert 0.95 - margin(draws) <= hits / draws <= 0.99
    assert ratio_hits / 200 >= 0.95 - margin(200)
    assert percentile_hits == 0


@pytest.mark.parametrize(
    "rates",
    [
        (0.1, 0.3),
        (0.2, 0.25, 0.3),
        (0.28, 0.3, 0.3, 0.34),
        (0.2,) * 4 + (0.3,) * 4,
        (0.15,) + (0.3,) * 6 + (0.45,),
        (0.3,) * 15 + (0.4,),
    ],
)
def test_a_gap_that_is_there_is_covered_too(rates: tuple[float, ...], figures: Figures) -> None:
    """Both sides: a lower bound of all pairs together, an upper bound of one."""
    draws, rng = 300, np.random.default_rng(len(rates))
    sizes = np.resize([150, 300, 1_000], len(rates))
    gap, ratio = max(rates) - min(rates), min(rates) / max(rates)
    hits = ratio_hits = 0
    for x in rng.binomial(sizes, rates, (draws, len(rates))):
        samples = [Proportion(float(a), float(b)) for a, b in zip(x, sizes, strict=True)]
        found, smallest = (
            extreme(operation, [samples], confidence=0.95) for operation in ("difference", "ratio")
        )
        hits += found.low <= gap <= found.high  # type: ignore[operator,union-attr]
        ratio_hits += smallest.low <= ratio <= smallest.high  # type: ignore[operator,union-attr]
    figures(
        f"largest gap of {gap:.2f} between {len(rates)} groups",
        {"coverage": hits / draws, "ratio": ratio_hits / draws},
    )
    assert hits / draws >= 0.95 - margin(draws)
    assert ratio_hits / draws >= 0.95 - margin(draws)


@pytest.mark.parametrize("rates", [(0.3,) * 8, (0.2, 0.3, 0.4), (0.1,) + (0.3,) * 6 + (0.35,)])
def test_the_corrected_gap_has_a_fraction_of_the_bias(
    rates: tuple[float, ...], figures: Figures
) -> None:
    draws, rng = 1_000, np.random.default_rng(5)
    sizes = np.resize([60, 100, 250], len(rates))
    observed: list[float] = []
    corrected: list[float] = []
    for x in rng.binomial(sizes, rates, (draws, len(rates))):
        observed.append(float(np.ptp(x / sizes)))
        corrected.append(bias_corrected_gap(x, sizes))  # type: ignore[arg-type]
    gap = max(rates) - min(rates)
    bias, left = np.mean(observed) - gap, np.mean(corrected) - gap
    figures(f"bias of a gap of {gap:.2f}, {len(rates)} groups", {"observed": bias, "left": left})
    assert bias > 0
    assert abs(left) < 0.5 * bias + 0.01


def test_the_variance_between_groups_is_covered_by_what_is_corrected_twice(
    figures: Figures,
) -> None:
    """Lum, Zhang and Bower's experiment: 50 groups of 20 to 90 records, rates 0.1 to 0.9."""
    draws, rng = 200, np.random.default_rng(0)
    sizes, rates = np.linspace(20, 90, 50).astype(int), np.linspace(0.1, 0.9, 50)
    truth = float(np.var(rates, ddof=1))
    hits, values = 0, []
    for x in rng.binomial(sizes, rates, (draws, 50)):
        found = between_group_variance(x, sizes, confidence=0.95, replicates=500)
        assert isinstance(found, BetweenGroups)
        hits += found.low <= truth <= found.high
        values.append((found.value, found.observed))
    corrected, observed = np.mean(values, axis=0) / truth - 1
    figures(
        "variance between 50 groups",
        {"coverage": hits / draws, "bias": corrected, "bias, uncorrected": observed},
    )
    assert hits / draws >= 0.95 - 2 * margin(draws)
    assert abs(corrected) < 0.01 < observed


@pytest.mark.parametrize("operation", ["difference", "ratio"])
@pytest.mark.parametrize("better", ["higher", "lower"])
def test_comparisons_with_the_best_cover_whichever_is_best(
    operation: Any, better: Any, figures: Figures
) -> None:
    draws, rng = 250, np.random.default_rng(1)
    covered: dict[str, float] = {}
    for rates, sizes in (
        ((0.3,) * 5, (200,)),
        ((0.2, 0.3, 0.4), (100, 1_000)),
        ((0.3, 0.3, 0.5, 0.5), (60, 300)),
    ):
        n = np.resize(sizes, len(rates))
        hits = np.zeros(len(rates))
        for x in rng.binomial(n, rates, (draws, len(rates))):
            samples = [Proportion(float(a), float(b)) for a, b in zip(x, n, strict=True)]
            found = with_the_best(operation, samples, better=better, confidence=0.95)
            for i, outcome in enumerate(found):
                others = np.delete(rates, i)
                best = others.max() if better == "higher" else others.min()
                truth = rates[i] - best if operation == "difference" else rates[i] / best
                hits[i] += outcome.low <= truth <= outcome.high  # type: ignore[operator,union-attr]
        covered[str(rates)] = float((hits / draws).min())
    figures(f"with the best, {operation}, {better}: least coverage of a group", covered)
    assert min(covered.values()) >= 0.95 - 1.5 * margin(draws)  # the least of 24 estimates


@pytest.mark.parametrize("kind", ["bca", "studentized"])
def test_bootstrap_intervals_cover_as_often_as_they_say(kind: Any, figures: Figures) -> None:
    """F1 of (tn, fp, fn, tp)."""

    def f1(cells: Any) -> Any:
        return 2 * cells[..., 3] / (2 * cells[..., 3] + cells[..., 1] + cells[..., 2])

    draws, rng, shares = 600, np.random.default_rng(0), np.array([0.5, 0.1, 0.1, 0.3])
    found: dict[str, float] = {}
    for n in (60, 200, 1_000):
        hits = 0
        for draw in range(draws):
            interval = bootstrap_interval(f1, rng.multinomial(n, shares), confidence=0.95,
                                          replicates=1_000, seed=draw, kind=kind)  # fmt: skip
            assert isinstance(interval, Bootstrapped)
            hits += interval.low <= 0.75 <= interval.high
        found[f"n = {n}"] = hits / draws
    figures(f"bootstrap-{kind} of F1", found)
    # Few records make the studentised interval wide rather than short.
    assert all(0.925 < share < 0.99 for share in found.values())
    assert abs(found["n = 1000"] - 0.95) < 0.02


@pytest.mark.parametrize("concentration", [5.0, 50.0, 1e6])
def test_small_groups_borrow_strength_and_still_cover(
    concentration: float, figures: Figures
) -> None:
    draws, rng = 500, np.random.default_rng(1)
    n = np.resize([5, 20, 100], 18)
    hits, width, plain = [], [], []
    for _ in range(draws):
        rates = rng.beta(0.3 * concentration, 0.7 * concentration, 18)
        x = rng.binomial(n, rates)
        found = dirichlet_multinomial(x, n, confidence=0.95)
        low, high = wilson(x, n, confidence=0.95)
        hits.append((found.low <= rates) & (rates <= found.high))
        width.append((found.high - found.low).mean())
        plain.append((high - low).mean())
    covered = np.reshape(np.mean(hits, axis=0), (6, 3)).mean(axis=0)
    figures(
        f"dirichlet-multinomial, concentration {concentration:g}",
        {"coverage": np.mean(hits), "width": np.mean(width), "width of wilson": np.mean(plain)},
    )
    assert covered.min() >= 0.93
    assert np.mean(width) < np.mean(plain)
