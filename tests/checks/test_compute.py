"""The compute of a training as findings, by policy, and derived again."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from auditor.checks import Evidence, NotApplicable, Subject
from auditor.checks.provenance.compute import Compute
from auditor.evidence import Finding, Stage, Status
from auditor.metrics import METRICS, Absent, estimate, slice_samples
from auditor.policy import evaluate, load_policy
from auditor.stats import COMPUTE, Groups, SliceTable, compute_zero

Run = Callable[..., list[Finding]]


def table(context: dict[str, Any] | None = None, /, **sums: float) -> SliceTable:
    found = compute_zero({"parameters": 10, "base_flops": None} | (context or {}))
    for name, value in sums.items():
        found.values[0, found.column(name.replace("__", ":"))] = value
    return found


def sampled(
    flops: list[float], units: list[float], *, steps: int, unit: str = "tokens", **more: float
) -> dict[str, float]:
    f, u = np.array(flops), np.array(units)
    every = float(more.pop("every", steps * u.mean()))
    sums = {
        "steps": steps, "records": every, "samples": len(flops), "sum__flops": f.sum(),
        "squares__flops": (f * f).sum(), f"sum__{unit}": u.sum(),
        f"squares__{unit}": (u * u).sum(), f"products__{unit}": (f * u).sum(),
    }  # fmt: skip
    if unit == "tokens":
        sums |= {"tokens": every, "flops__6nd": 60 * every}
    else:
        sums |= {"records__tokenless": every}
    return sums | more


def subject_of(statistic: SliceTable, stage: Stage = Stage.TRAINING) -> Subject:
    return Subject(stage, Groups.declare([]), counted={COMPUTE: statistic})


FULL = table(
    {"base_flops": 1e6},
    **sampled([600.0, 1300.0, 1850.0], [10.0, 20.0, 30.0], steps=100),
    devices=2, seconds__device=7200.0,
    joule__accelerator__measured=3.6e6, joule__memory__estimated=1.8e6, joule__low=4e6,
    joule__high=7e6, joule__readings=3, gram=700.0, gram__low=500.0, gram__high=900.0,
    gram__assumed=700.0,
)  # fmt: skip


def test_every_number_is_there_with_its_method_and_is_derived_again(
    run: Run, pick: Callable[..., Finding]
) -> None:
    for stage in (Stage.TRAINING, Stage.FINE_TUNING):
        findings = run(Compute(), subject_of(FULL, stage))
        assert {finding.status for finding in findings} == {"measured"}
        compute = pick(findings, "training_compute")
        assert compute.value == pytest.approx(3750 / 60 * 2000)
        assert (compute.n, compute.method) == (3, "measured-on-3-steps")
        assert compute.low is not None
        assert compute.high is not None
        assert compute.low < 125_000 < compute.high
        assert pick(findings, "training_compute_6nd").value == 60 * 2000
        assert pick(findings, "training_compute_6nd").method == "estimated-6nd"
        assert pick(findings, "training_compute_over_6nd").value == pytest.approx(62.5 / 60)
        hours = pick(findings, "device_hours")
        assert (hours.value, hours.n, hours.low, hours.high) == (2.0, 2, 2.0, 2.0)
        energy = pick(findings, "energy")
        assert (energy.value, energy.n) == (1.5, 3)
        assert energy.method == "measured-accelerator-estimated-memory"
        assert (energy.low, energy.high) == (pytest.approx(4 / 3.6), pytest.approx(7 / 3.6))
        emissions = pick(findings, "emissions")
        assert (emissions.value, emissions.low, emissions.high) == (0.7, 0.5, 0.9)
        assert emissions.method is not None
        assert emissions.method.endswith("world-average-grid")
        share = pick(findings, "compute_share_of_base")
        assert share.value == pytest.approx(0.125)
        assert share.low == pytest.approx(compute.low / 1e6)


def test_the_interval_is_that_of_a_ratio_with_students_t() -> None:
    f, u = np.array([600.0, 1300.0, 1850.0]), np.array([10.0, 20.0, 30.0])
    rate = f.sum() / u.sum()
    variance = ((f - rate * u) ** 2).sum() / 2 / 3 / u.mean() ** 2 * (1 - 3 / 100)
    half = stats.t.ppf(0.975, 2) * math.sqrt(variance) * 2000
    sample = slice_samples("training_compute", FULL, ()).samples
    (only,) = sample.values()
    found = estimate(only, confidence=0.95)
    assert not isinstance(found, Absent)
    assert found.low == pytest.approx(rate * 2000 - half)
    assert found.high == pytest.approx(rate * 2000 + half)


@given(
    st.lists(
        st.tuples(st.floats(1e3, 1e20), st.integers(1, 10_000)), min_size=2, max_size=6
    ),
    st.integers(0, 5),
)  # fmt: skip
def test_any_split_into_ranks_gives_the_same_number(
    steps: list[tuple[float, int]], cut: int
) -> None:
    def of(part: list[tuple[float, int]]) -> SliceTable:
        if not part:
            return table()
        flops, units = [f for f, _ in part], [float(n) for _, n in part]
        return table(**sampled(flops, units, steps=50, every=sum(units) * 10))

    whole = of(steps)
    parts = of(steps[:cut]).merge(of(steps[cut:]))
    whole.values[0, whole.column("steps")] = parts.values[0, parts.column("steps")]
    assert np.allclose(whole.values, parts.values, rtol=1e-12)
    for name in ("training_compute", "training_compute_over_6nd"):
        (a,), (b,) = (slice_samples(name, t, ()).samples.values() for t in (whole, parts))
        one, other = estimate(a, confidence=0.95), estimate(b, confidence=0.95)
        assert not isinstance(one, Absent)
        assert not isinstance(other, Absent)
        assert one.value == pytest.approx(other.value)


def derived(statistic: SliceTable) -> dict[str, Finding]:
    evidence = [Evidence("sha256:0", statistic)]
    return {f.metric: f for f in Compute().derive(evidence, Stage.TRAINING)}


def test_equal_steps_leave_no_spread() -> None:
    found = derived(table(**sampled([1e18 / 3] * 4, [333.0] * 4, steps=9_000)))
    compute = found["training_compute"]
    assert compute.low == compute.high == compute.value


def test_one_counted_step_has_no_interval() -> None:
    compute = derived(table(**sampled([600.0], [10.0], steps=9)))["training_compute"]
    assert (compute.value, compute.low, compute.high) == (5_400.0, 0.0, None)
    assert compute.method == "measured-on-1-steps"


def test_an_operation_without_a_formula_leaves_the_upper_side_open() -> None:
    sums = sampled([600.0] * 3, [10.0] * 3, steps=9, samples__incomplete=1)
    compute = derived(table(**sums))["training_compute"]
    assert (compute.low, compute.high) == (compute.value, None)
    assert compute.method == "measured-on-3-steps-at-least"


def test_records_take_the_place_of_tokens_where_some_have_none() -> None:
    found = derived(table(**sampled([600.0, 600.0], [10.0, 10.0], steps=9, unit="records")))
    assert found["training_compute"].value == 5_400.0
    assert "tokens" in (found["training_compute_6nd"].reason or "")


def test_without_a_count_the_rule_of_thumb_stands_in_and_says_so() -> None:
    sums = {"steps": 9, "records": 9, "tokens": 90, "flops__6nd": 5_400.0, "windows__compiled": 1}
    found = derived(table(**sums))
    compute = found["training_compute"]
    assert (compute.value, compute.method, compute.n) == (5_400.0, "estimated-6nd", 90)
    assert (compute.low, compute.high) == (0.0, None)
    assert "compiled" in (found["training_compute_over_6nd"].reason or "")


@pytest.mark.parametrize(
    ("sums", "metric", "reason"),
    [
        ({}, "training_compute", "no record"),
        ({"records": 5, "records__tokenless": 5}, "training_compute", "no step was counted"),
        ({"records": 5, "records__tokenless": 5, "windows__failed": 1}, "training_compute",
         "counting failed"),
        ({"records": 5}, "device_hours", "time of the devices"),
        ({"records": 5}, "energy", "not read"),
        ({"records": 5}, "emissions", "not read"),
        ({"records": 5, "joule__readings": 2, "joule__cpu__estimated": 5, "seconds__blind": 3},
         "energy", "accelerators have no counter"),
        ({"records": 5, "joule__readings": 2, "joule__cpu__measured": 5}, "emissions", "intensity"),
        ({"records": 5}, "compute_share_of_base", "unknown: nobody stated it"),
        ({"records": -5}, "training_compute", "negative"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_a_reason(sums: dict[str, float], metric: str, reason: str) -> None:
    finding = derived(table(**sums))[metric]
    assert finding.status == "not-evaluated"
    assert reason in (finding.reason or "") or not sums


def test_energy_without_the_accelerators_is_a_least() -> None:
    sums = {"records": 5, "joule__readings": 2, "joule__cpu__measured": 3.6e6, "joule__low": 3.5e6,
            "joule__high": 3.7e6, "seconds__blind": 3}  # fmt: skip
    energy = derived(table(**sums))["energy"]
    assert (energy.value, energy.high) == (1.0, None)
    assert energy.method == "measured-cpu-at-least"


def test_a_training_that_nobody_metered_is_no_gap() -> None:
    with pytest.raises(NotApplicable):
        Compute().measure(Subject(Stage.TRAINING, Groups.declare([])))


def judged(total: float, base: float | None, stage: Stage) -> dict[str, Status]:
    sums = sampled([total / 100] * 3, [10.0] * 3, steps=100)
    statistic = table({"base_flops": base}, **sums)
    findings = Compute().derive([Evidence("sha256:0", statistic)], stage)
    verdict = evaluate(
        load_policy("compute-thresholds"), findings, lambda _: statistic,
        evaluated_at="2026-11-01T00:00:00Z", seed=0, stage=stage, registered=True,
        only_stage=True,
    )  # fmt: skip
    assert verdict.gate == "open", "thresholds of notice close nothing"
    return {rule.id: rule.status for rule in verdict.rules}


@pytest.mark.parametrize(
    ("total", "general", "systemic"),
    [(9e22, Status.PASS, Status.PASS), (1e23, Status.FAIL, Status.PASS),
     (2e24, Status.FAIL, Status.PASS), (1.1e25, Status.FAIL, Status.FAIL)],
)  # fmt: skip
def test_the_thresholds_of_the_act_are_flagged(
    total: float, general: Status, systemic: Status
) -> None:
    assert judged(total, None, Stage.TRAINING) == {
        "below-general-purpose-criterion": general, "below-systemic-risk-presumption": systemic
    }  # fmt: skip


@pytest.mark.parametrize(
    ("base", "expected"),
    [(None, Status.NOT_EVALUATED), (1e22, Status.PASS), (2e21, Status.FAIL)],
)
def test_a_third_of_the_base_model_is_flagged(base: float | None, expected: Status) -> None:
    found = judged(1e21, base, Stage.FINE_TUNING)
    assert found["modification-below-a-third"] == expected
    assert found["modification-below-general-purpose-criterion"] == Status.PASS


def test_a_small_training_of_one_counted_step_passes_by_its_value() -> None:
    statistic = table(**sampled([600.0], [10.0], steps=9))
    findings = Compute().derive([Evidence("sha256:0", statistic)], Stage.TRAINING)
    verdict = evaluate(
        load_policy("compute-thresholds"), findings, lambda _: statistic,
        evaluated_at="2026-11-01T00:00:00Z", seed=0, stage=Stage.TRAINING, registered=True,
    )  # fmt: skip
    assert {rule.status for rule in verdict.rules} == {Status.PASS}


def test_each_metric_says_how_it_is_defined() -> None:
    for name in Compute.metrics:
        metric = METRICS.get(name)
        assert metric.formula
        assert metric.source
        assert not metric.counts_records(None)
