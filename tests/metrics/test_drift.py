from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from auditor.datasets.scan_domain import domain_counts
from auditor.datasets.scan_drift import Pair, drift_counts, pair_of
from auditor.evidence import Estimate, Slice
from auditor.metrics import Absent, Sample, estimate, slice_rows, slice_samples
from auditor.metrics.drift import largest_deviation, two_sample_variation, with_family
from auditor.metrics.psi import population_stability
from auditor.stats import SliceTable


def numbers(train: Any, later: Any) -> SliceTable:
    pair = Pair("x", True, np.asarray(train, np.float64), np.asarray(later, np.float64))
    return drift_counts(pair, split="test")


def texts(train: Any, later: Any) -> SliceTable:
    named = ([None if v is None else f"v{v}" for v in side] for side in (train, later))
    sides = (pa.array(side, pa.string()) for side in named)
    return drift_counts(pair_of("x", *sides), split="test")


def sample_of(metric: str, table: SliceTable) -> Sample:
    return slice_samples(metric, table, ()).samples[Slice()]


def measure(metric: str, table: SliceTable, *, confidence: float = 0.95) -> Any:
    return estimate(sample_of(metric, table), confidence=confidence)


values = st.lists(st.floats(-100, 100).map(lambda x: round(x, 1)), min_size=2, max_size=40)


@given(values, values)
def test_distances_of_numbers_are_those_of_scipy(x: Any, y: Any) -> None:
    table = numbers(x, y)
    ks = measure("drift_ks", table)
    assert ks.value == pytest.approx(stats.ks_2samp(x, y, method="asymp").statistic, abs=1e-9)
    assert 0 <= ks.low <= ks.value <= ks.high <= 1
    moved = measure("drift_wasserstein", table)
    cuts = np.array([np.quantile(side, (0.001, 0.999)) for side in (x, y)])
    a, b = (np.clip(side, cuts[:, 0].min(), cuts[:, 1].max()) for side in (x, y))
    if isinstance(moved, Absent):
        assert np.std(a) == 0
    else:
        expected = stats.wasserstein_distance(a, b) / np.std(a)
        assert abs(moved.value - expected) <= moved.bound + 1e-9
        assert moved.low - 1e-9 <= expected <= moved.high + 1e-9


def test_many_numbers_lie_within_the_bound_of_their_bins() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=3_000), random.normal(0.2, 1.3, 2_000)
    ks = measure("drift_ks", numbers(x, y))
    exact = stats.ks_2samp(x, y).statistic
    assert ks.value <= exact + 1e-12 <= ks.value + ks.bound + 1e-9
    assert ks.bound < 0.005
    moved = measure("drift_wasserstein", numbers(x, y))
    assert moved.value == pytest.approx(stats.wasserstein_distance(x, y) / x.std(), abs=0.02)
    assert moved.bound < 0.01


def test_shares_of_levels_worked_by_hand() -> None:
    table = texts([1] * 60 + [2] * 40, [1] * 30 + [2] * 50 + [3] * 20)
    assert measure("drift_total_variation", table).value == pytest.approx(0.3)
    new = measure("new_level_rate", table)
    assert (new.value, new.n, new.method) == (0.2, 100, "wilson")
    assert measure("new_levels", table).value == 1
    p, q = np.array([60.5, 40.5, 0.5]) / 101.5, np.array([30.5, 50.5, 20.5]) / 101.5
    raw = float(((q - p) * np.log(q / p)).sum())
    psi = measure("drift_psi", table)
    assert psi.value == pytest.approx(raw - 2 * (1 / 100 + 1 / 100))
    assert psi.low < psi.value < psi.high


def test_missing_values_are_a_change_of_their_own() -> None:
    table = numbers([1.0, 2.0, 3.0, np.nan], [1.0, 2.0, np.nan, np.nan])
    found = measure("missing_rate_change", table)
    assert (found.value, found.n, found.method) == (0.25, 8, "newcombe")
    assert measure("drift_ks", table).n == 5


levels = st.lists(st.one_of(st.none(), st.integers(0, 5)), min_size=1, max_size=60)


@given(levels, levels)
def test_total_variation_is_half_the_sum_of_differences(x: Any, y: Any) -> None:
    table = texts(x, y)
    found = measure("drift_total_variation", table)
    known = [[v for v in side if v is not None] for side in (x, y)]
    if isinstance(found, Absent):
        together = [*known[0], *known[1]]
        assert min(map(len, known)) < 2 or len(together) < 2 * len(set(together))
        return
    shares = [[side.count(v) / len(side) for v in range(6)] for side in known]
    assert found.value == pytest.approx(np.abs(np.subtract(*shares)).sum() / 2)
    assert 0 <= found.low <= found.value <= found.high <= 1


@given(levels, levels, st.randoms(use_true_random=False))
def test_the_order_of_the_records_does_not_matter(x: Any, y: Any, random: Any) -> None:
    before = texts(x, y), numbers(*([math.nan if v is None else v for v in s] for s in (x, y)))
    random.shuffle(x)
    random.shuffle(y)
    after = texts(x, y), numbers(*([math.nan if v is None else v for v in s] for s in (x, y)))
    assert before == after


@given(st.lists(st.integers(0, 50), min_size=2, max_size=12), st.floats(0.5, 0.99))
def test_no_change_has_an_index_of_zero_and_an_interval_from_zero(
    counts: list[int], confidence: float
) -> None:
    same = np.array(counts, np.float64)
    if not same.sum():
        return
    sample = population_stability(same, same, ordered=False)
    found: Any = estimate(sample, confidence=confidence)
    if isinstance(found, Absent):
        assert found.reason == "the training values fill a single bin"
    else:
        assert (found.value, found.low) == (0, 0)
        assert found.high > 0


def test_values_that_hardly_repeat_and_too_few_have_reasons() -> None:
    assert measure("drift_total_variation", texts(range(50), range(50, 100))).reason.startswith(
        "its values hardly repeat"
    )
    assert measure("drift_ks", numbers([1.0], [1.0, 2.0])).reason == (
        "fewer than two training records have a value"
    )
    assert "no unit" in measure("drift_wasserstein", numbers([1.0, 1.0], [1.0, 1.0])).reason
    assert "no unit" in measure("drift_wasserstein", numbers([np.inf] * 3, [1.0, 2.0])).reason
    assert measure("drift_ks", numbers([np.inf] * 3, [1.0, 2.0])).value == 1


def test_text_that_is_numbers_on_both_sides_is_numbers() -> None:
    pair = pair_of("x", pa.array(["1", "2", None]), pa.array(["2.0", " 3"]))
    assert pair.numeric
    assert pair.later.tolist() == [2, 3]
    mixed = pair_of("x", pa.array(["1", "2"]), pa.array(["2", "?"]), levels={"1", "2"})
    assert not mixed.numeric
    assert drift_counts(mixed, split="t").values[0, 6:8].tolist() == [1, 1]
    assert measure("new_levels", drift_counts(
        pair_of("x", pa.array(["a"]), pa.array(["b"]), levels=set()), split="t"
    )).reason.startswith("the training data have too many levels")  # fmt: skip


def drawn(random: np.random.Generator, kind: str, size: int) -> Any:
    match kind:
        case "normal":
            return random.normal(size=size)
        case "rounded":
            return random.exponential(size=size).round(1)
        case "binary":
            return (random.random(size) < 0.1).astype(float)
        case "4 levels":
            return random.choice(4, size, p=[0.7, 0.2, 0.07, 0.03])
        case _:
            return np.minimum(random.geometric(0.08, size), 30)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["normal", "rounded", "binary", "4 levels", "30 levels"])
def test_without_drift_intervals_hold_zero_as_often_as_they_say(kind: str, figures: Any) -> None:
    random = np.random.default_rng(7)
    rounds = 1_000
    of_numbers = kind in {"normal", "rounded", "binary"}
    make = numbers if of_numbers else texts
    names = ["drift_psi", *(["drift_ks", "drift_wasserstein"] if of_numbers
                            else ["drift_total_variation"])]  # fmt: skip
    held = dict.fromkeys(names, 0)
    for _ in range(rounds):
        table = make(drawn(random, kind, 400), drawn(random, kind, 250))
        for name in names:
            held[name] += measure(name, table).low <= 0
    shares = {name: count / rounds for name, count in held.items()}
    figures(f"drift of columns without any, {kind}, 95 %", shares)
    assert min(shares.values()) >= 0.94


@pytest.mark.slow
def test_under_drift_intervals_hold_the_distance(figures: Any) -> None:
    random = np.random.default_rng(8)
    rounds = 400
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.35, 0.35, 0.3])
    truth = {
        "drift_total_variation": np.abs(p - q).sum() / 2,
        "drift_psi": float(((q - p) * np.log(q / p)).sum()),
        "drift_ks": 2 * stats.norm.cdf(0.25) - 1,
        "drift_wasserstein": 0.5,
    }
    held = dict.fromkeys(truth, 0)
    for _ in range(rounds):
        levels = texts(random.choice(3, 600, p=p), random.choice(3, 500, p=q))
        shifted = numbers(random.normal(size=600), random.normal(0.5, 1, 500))
        for name, true in truth.items():
            table = levels if name in {"drift_total_variation", "drift_psi"} else shifted
            found = measure(name, table)
            held[name] += found.low <= true <= found.high
    shares = {name: count / rounds for name, count in held.items()}
    figures("drift of columns that drift, coverage at 95 %", shares)
    assert min(shares.values()) >= 0.94


@pytest.mark.slow
def test_a_family_of_columns_raises_a_false_alarm_as_seldom_as_one(figures: Any) -> None:
    random = np.random.default_rng(9)
    rounds, columns = 60, 12
    alarms = {"drift_ks": 0, "drift_wasserstein": 0, "drift_total_variation": 0, "drift_psi": 0}
    for _ in range(rounds):
        tables = [numbers(random.normal(size=300), random.normal(size=200)) for _ in range(columns)]
        coded = [texts(drawn(random, "4 levels", 300), drawn(random, "4 levels", 200))
                 for _ in range(columns)]  # fmt: skip
        for name in alarms:
            chosen = coded if name in {"drift_total_variation", "drift_psi"} else tables
            outcomes = []
            for table in chosen:
                sample = sample_of(name, table)
                sigma = largest_deviation(name, slice_rows(table, ()).rows[Slice()])
                outcomes.append((sample, estimate(sample, confidence=0.95), sigma))
            found = with_family(outcomes, confidence=0.95)
            alarms[name] += any(isinstance(f, Estimate) and f.also[0].low > 0 for f in found)
    shares = {name: count / rounds for name, count in alarms.items()}
    figures(f"a false alarm among {columns} columns without drift", shares)
    for count in alarms.values():  # no more than one in twenty, as far as so many rounds can tell
        assert stats.binomtest(count, rounds, 0.05, alternative="greater").pvalue > 0.05


def test_the_interval_of_the_family_is_the_wider_one_and_named() -> None:
    random = np.random.default_rng(1)
    tables = [numbers(random.normal(size=100), random.normal(size=100)) for _ in range(12)]
    outcomes = []
    for table in tables:
        sample = sample_of("drift_ks", table)
        sigma = largest_deviation("drift_ks", slice_rows(table, ()).rows[Slice()])
        outcomes.append((sample, estimate(sample, confidence=0.95), sigma))
    absent = Absent("no number")
    found = with_family([*outcomes, (absent, absent, 0.0)], confidence=0.95)
    assert found[-1] == absent
    for one in found[:-1]:
        assert isinstance(one, Estimate)
        (beside,) = one.also
        assert beside.method == "gaussian-bridge-borell-bonferroni-12"
        assert beside.high is not None
        assert one.high is not None
        assert beside.high > one.high
        # not wider than what Massart's bound gives for any distribution
        dkw = math.sqrt(math.log(2 * 2 * 12 / 0.05) / 200) * 2
        assert beside.high - one.value <= dkw + (one.bound or 0)
    alone = with_family(outcomes[:1], confidence=0.95)
    assert alone == [outcomes[0][1]]


def test_the_noise_of_shares_is_that_of_resampling() -> None:
    random = np.random.default_rng(2)
    p = np.array([0.5, 0.3, 0.15, 0.05])
    _, noise = two_sample_variation(400 * p, 300 * p)
    drawn_ = np.abs(random.multinomial(400, p, 4_000) / 400
                    - random.multinomial(300, p, 4_000) / 300).sum(axis=1) / 2  # fmt: skip
    for share in (0.5, 0.9, 0.95):
        assert np.quantile(noise, share) == pytest.approx(np.quantile(drawn_, share), rel=0.08)


def joint(random: np.random.Generator, rows: int, correlation: float) -> list[np.ndarray]:
    a = random.normal(size=rows)
    b = correlation * a + math.sqrt(1 - correlation**2) * random.normal(size=rows)
    return [a, b]


@pytest.mark.slow
def test_a_change_that_no_column_shows_alone_is_found_together() -> None:
    random = np.random.default_rng(3)
    sides = joint(random, 3_000, 0.9), joint(random, 3_000, -0.9)
    pairs = [Pair(name, True, a, b) for name, a, b in zip("xy", *sides, strict=True)]
    for pair in pairs:
        assert measure("drift_ks", drift_counts(pair, split="test"), confidence=0.99).low == 0
    found = measure("drift_auc", domain_counts(pairs, split="test", most=2_000, seed=0))
    assert found.low > 0.8
    assert found.n == 4_000


@pytest.mark.slow
def test_without_drift_no_model_tells_the_tables_apart(figures: Any) -> None:
    random = np.random.default_rng(4)
    rounds, held = 60, 0
    for seed in range(rounds):
        sides = joint(random, 250, 0.5), joint(random, 250, 0.5)
        pairs = [Pair(name, True, a, b) for name, a, b in zip("xy", *sides, strict=True)]
        found = measure("drift_auc", domain_counts(pairs, split="t", most=250, seed=seed))
        held += found.low <= 0.5 <= found.high
    figures("drift_auc without drift, coverage at 95 %", {"share": held / rounds})
    assert held / rounds >= 0.94


def test_what_is_always_new_does_not_tell_tables_apart() -> None:
    texts_ = [pa.array([f"{side}{i}" for i in range(30)]) for side in "ab"]
    counts = domain_counts([pair_of("id", *texts_)], split="t", most=100, seed=0)
    assert measure("drift_auc", counts) == Absent("no column in common repeats its values")
    few = domain_counts([Pair("x", True, np.ones(4), np.ones(4))], split="t", most=100, seed=0)
    assert measure("drift_auc", few) == Absent("too few records")
