"""What a training took: operations, time on devices, energy, carbon; measured or estimated.

The sums are those of ``compute-sums`` (:mod:`auditor.stats.compute`).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from auditor.metrics.metric import Metric, add_metric
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Census, Projected, Sample
from auditor.stats.compute import COMPUTE, COMPUTE_COLUMNS, ENERGY_PARTS

__all__ = ["COMPUTE_METRICS"]

_KWH, _KG, _HOUR = 3.6e6, 1e3, 3600.0


def _checked(read: Callable[[Row], Sample]) -> Callable[[Row], Sample]:
    """Refuse sums that no training can have."""

    def checked(row: Row) -> Sample:
        if row.columns != COMPUTE_COLUMNS:
            return Absent("the sums have other columns")
        if not all(0 <= value < math.inf for value in row.values.tolist()):
            return Absent("a sum is negative or not finite")
        return read(row)

    return checked


def _training_compute(row: Row) -> Projected | Absent:
    """Return R · U for R = Σ operations / Σ units over the sampled steps, U the units of all steps.

    Units are tokens where every record has them, and otherwise records. The variance of a ratio,
    Σ (fᵢ − R uᵢ)² / (n (n − 1) ū²) · (1 − n / steps), gives a t interval on n − 1 degrees of
    freedom (Cochran 1977, equation 6.13).
    """
    if not row.column("records"):
        return Absent("no record was trained on")
    by_tokens = row.column("tokens") > 0 and not row.column("records:tokenless")
    unit = "tokens" if by_tokens else "records"
    n, total, units = row.column("samples"), row.column("sum:flops"), row.column(f"sum:{unit}")
    if n >= 1 and total > 0 and units > 0:
        return _sampled(row, unit, total / units)
    if by_tokens and row.column("flops:6nd") > 0:
        return Projected(
            row.column("flops:6nd"), row.column("tokens"), "estimated-6nd",
            lambda _, __: (0.0, math.inf),
        )  # fmt: skip
    return Absent(f"{_why_uncounted(row)}, and 6·N·D needs tokens")


def _sampled(row: Row, unit: str, rate: float) -> Projected:
    n, every = row.column("samples"), row.column(unit)
    value, incomplete = rate * every, row.column("samples:incomplete") > 0
    mean = row.column(f"sum:{unit}") / n
    squares = (
        row.column("squares:flops") - 2 * rate * row.column(f"products:{unit}")
        + rate * rate * row.column(f"squares:{unit}")
    )  # fmt: skip
    # Differences of equal sums are rounding, not spread.
    spread = squares if squares > 1e-12 * row.column("squares:flops") else 0.0
    left = max(1 - n / max(row.column("steps"), n), 0.0)
    error = math.sqrt(spread * left / (n * (n - 1))) / mean * every if n > 1 else math.inf

    def bounds(confidence: float, factor: float) -> tuple[float, float]:
        if n <= 1:
            return 0.0, math.inf
        half = _student(confidence, n * factor - 1) * error / math.sqrt(factor) if error else 0.0
        return max(value - half, 0.0), math.inf if incomplete else value + half

    ending = "-at-least" if incomplete else ""
    return Projected(value, n, f"measured-on-{n:.0f}-steps{ending}", bounds)


def _student(confidence: float, df: float) -> float:
    """Return the two-sided quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(df, (1 + confidence) / 2))


def _why_uncounted(row: Row) -> str:
    if row.column("windows:compiled"):
        return "no step was counted, since the model is compiled"
    if row.column("windows:failed"):
        return "no step was counted, since counting failed"
    return "no step was counted"


def _estimate(row: Row) -> Projected | Absent:
    """Return 6·N·D; N parameters that are multiplied, D positions of the training."""
    if not row.column("tokens") or row.column("records:tokenless"):
        return Absent("6·N·D needs the tokens of every record")
    return Projected(
        row.column("flops:6nd"), row.column("tokens"), "estimated-6nd",
        lambda _, __: (0.0, math.inf),
    )  # fmt: skip


def _over_estimate(row: Row) -> Sample:
    counted, estimated = _training_compute(row), _estimate(row)
    if isinstance(estimated, Absent):
        return estimated
    if isinstance(counted, Absent) or not counted.method.startswith("measured"):
        return Absent(_why_uncounted(row))
    return _divided(counted, estimated.value) if estimated.value else Absent("6·N·D is 0")


def _share_of_base(row: Row) -> Sample:
    base = row.context.get("base_flops")
    if base is None:
        return Absent("the compute of the base model is unknown: nobody stated it")
    if not isinstance(base, (int, float)) or isinstance(base, bool) or not 0 < base < math.inf:
        return Absent("the stated compute of the base model is no positive number")
    counted = _training_compute(row)
    return counted if isinstance(counted, Absent) else _divided(counted, float(base))


def _divided(sample: Projected, by: float) -> Projected:
    def bounds(confidence: float, factor: float) -> tuple[float, float]:
        low, high = sample.bounds(confidence, factor)
        return low / by, high / by

    return Projected(sample.value / by, sample.n, sample.method, bounds)


def _device_hours(row: Row) -> Sample:
    if not row.column("devices"):
        return Absent("the time of the devices was not taken")
    return Census(row.column("seconds:device") / _HOUR, row.column("devices"), "measured-clock")


def _energy(row: Row) -> Projected | Absent:
    value = _joules(row)
    if not row.column("joule:readings"):
        return Absent("the energy was not read")
    if row.column("seconds:blind") and not row.column("joule:cpu:measured"):
        return Absent("the accelerators have no counter that could be read, and they use the most")
    return _between(value, row.column("joule:low"), row.column("joule:high"), _KWH, row)


def _emissions(row: Row) -> Sample:
    energy = _energy(row)
    if isinstance(energy, Absent):
        return energy
    if not row.column("gram:high"):
        return Absent("no intensity of the grid was given, and none assumed")
    sample = _between(row.column("gram"), row.column("gram:low"), row.column("gram:high"), _KG, row)
    assumed = "world-average-grid" if row.column("gram:assumed") else "stated-grid"
    return Projected(sample.value, sample.n, f"{sample.method}-{assumed}", sample.bounds)


def _joules(row: Row) -> float:
    return sum(
        row.column(f"joule:{part}:{label}")
        for part in ENERGY_PARTS
        for label in ("measured", "estimated")
    )


def _between(value: float, low: float, high: float, unit: float, row: Row) -> Projected:
    blind = row.column("seconds:blind") > 0
    top = math.inf if blind else max(high, value) / unit

    def bounds(_: float, __: float) -> tuple[float, float]:
        return min(low, value) / unit, top

    return Projected(value / unit, row.column("joule:readings"), _energy_method(row), bounds)


def _energy_method(row: Row) -> str:
    """Name what was measured, what was estimated, and whether something is missing."""
    names = [
        f"{label}-{part}"
        for label in ("measured", "estimated")
        for part in ENERGY_PARTS
        if row.column(f"joule:{part}:{label}")
    ]
    ending = "-at-least" if row.column("seconds:blind") else ""
    return ("-".join(names) or "measured-nothing-used") + ending


def _add(identifier: str, title: str, read: Callable[[Row], Sample], formula: str, source: str,
         ideal: float | None = None) -> str:  # fmt: skip
    return add_metric(
        Metric(
            identifier, title, high=None, ideal=ideal, better="lower",
            readers={COMPUTE: _checked(read)}, counts="measurements", formula=formula,
            source=source,
        ),
        compared=False,
    ).id  # fmt: skip


COMPUTE_METRICS = (
    _add(
        "training_compute", "Compute of the training (FLOP)", _training_compute,
        "operations of the sampled steps / their tokens or records · tokens or records of all "
        "steps; where none was counted, 6·N·D",
        "forward and backward, 2·m·n·k a product (torch.utils.flop_counter); Cochran (1977), 6.13",
    ),
    _add(
        "training_compute_6nd", "Compute by the rule of thumb 6·N·D (FLOP)", _estimate,
        "6 · parameters that are multiplied · tokens",
        "Kaplan et al. (2020), section 2.1; Hoffmann et al. (2022)",
    ),
    _add(
        "training_compute_over_6nd", "Counted compute over 6·N·D", _over_estimate,
        "counted operations / 6·N·D; above 1 by attention and recomputation, below 1 by frozen "
        "parameters and experts that are not chosen",
        "a check of the one by the other",
    ),
    _add(
        "device_hours", "Device-hours", _device_hours,
        "hours from attaching to detaching · devices", "the clock of the machine",
    ),
    _add(
        "energy", "Energy (kWh)", _energy,
        "joules of accelerators, processors and memory / 3.6e6",
        "counters of the machine where they can be read, otherwise estimated as codecarbon does",
    ),
    _add(
        "emissions", "Emissions (kg CO₂e)", _emissions,
        "kWh · intensity of the grid", "the intensity given, or the world average (IEA 2019)",
    ),
    _add(
        "compute_share_of_base", "Compute as a share of the base model's", _share_of_base,
        "compute of this training / compute stated of the base model",
        "European Commission (2025), guidelines for providers of general-purpose AI models",
    ),
)  # fmt: skip
