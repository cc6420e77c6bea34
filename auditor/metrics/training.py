"""What the training loop shows of every group: loss, errors, confidence, gradient norm."""

from __future__ import annotations

import math
from collections.abc import Sequence

from auditor.metrics.means import columns_of, mean_of
from auditor.metrics.metric import Metric, SampleReader, add_metric
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Mean, Proportion, Sample
from auditor.stats import SliceTable

__all__ = ["DYNAMICS", "EVALUATED", "LOSSES", "SERIES", "SUMS", "series_columns", "windows_of"]

LOSSES = "loss-sums"
"""Sums over the training batches since the last look."""

SERIES = "loss-series"
"""The same by windows of steps, for curves."""

DYNAMICS = "dynamics-sums"
"""Sums over the records that were trained on, of what became of each."""

EVALUATED = "evaluation-sums"
"""Sums over held-out records, of a model that predicts at several positions of each."""

_QUANTITIES = ("confidence", "gradient", "error")

SUMS = (
    "records", *columns_of("loss"), "not_finite", "sum:weight", "squares:weight", "products:loss",
    *(c for q in _QUANTITIES for c in (f"records:{q}", *columns_of(q))),
    "negatives", "false_positives", "positives", "false_negatives",
)  # fmt: skip
"""The columns of :data:`LOSSES`."""

_SERIES = (
    "records", *columns_of("loss"), "sum:weight", "squares:weight", "products:loss",
    *(c for q in _QUANTITIES for c in (f"records:{q}", *columns_of(q))),
)  # fmt: skip


def series_columns(spans: Sequence[Sequence[int]]) -> tuple[tuple[str, ...], list[int]]:
    """Name the columns of a series, and say which of :data:`SUMS` each window keeps.

    >>> series_columns([[1, 8], [9, 12]])[0][:2]
    ('records@1-8', 'sum:loss@1-8')
    """
    names = tuple(f"{name}@{first}-{last}" for first, last in spans for name in _SERIES)
    return names, [SUMS.index(name) for name in _SERIES]


def _mean_loss(row: Row) -> Sample:
    """Return Σ loss / Σ weight, with the standard error of a ratio where weights differ."""
    total, squares = (row.column(name) for name in columns_of("loss"))
    n = row.column("records")
    if "sum:weight" not in row.columns or row.column("sum:weight") == n:
        return mean_of(total, squares, n)
    weight = row.column("sum:weight")
    if n <= 0 or weight <= 0:
        return Absent("no records")
    if n < 2:
        return Absent("one record has no standard error")
    mean = total / weight
    spread = squares - 2 * mean * row.column("products:loss")
    spread += mean * mean * row.column("squares:weight")
    error = math.sqrt(max(spread, 0.0) * n / (n - 1)) / weight
    return Mean(mean, error, n, "normal", None, None)


def _mean(quantity: str, high: float | None = None) -> SampleReader:
    def read(row: Row) -> Sample:
        total, squares = columns_of(quantity)
        counted = f"records:{quantity}"
        if total not in row.columns or counted not in row.columns:
            return Absent(f"{quantity} was not measured")
        return mean_of(
            row.column(total), row.column(squares), row.column(counted), low=0.0, high=high
        )

    return read


def _share(events: str, of: str) -> SampleReader:
    def read(row: Row) -> Sample:
        if of not in row.columns:
            return Absent(f"{of} were not counted")
        total = row.column(of)
        return Proportion(row.column(events), total) if total else Absent(f"no {of}")

    return read


add_metric(
    Metric(
        "mean_loss", "Mean loss", low=None, high=None, ideal=None, better="lower",
        readers={LOSSES: _mean_loss}, formula="Σ loss / Σ weight over the records",
        source="the user's criterion, unreduced; ratio estimator where its weights differ",
    )
)  # fmt: skip
add_metric(
    Metric(
        "mean_true_class_probability", "Mean probability of the true class", better="higher",
        ideal=1.0, readers={LOSSES: _mean("confidence", 1.0)},
        formula="mean of the probability given to the true class, while it is trained on",
        source="Swayamdipta et al. (2020), confidence of one epoch",
    )
)  # fmt: skip
add_metric(
    Metric(
        "mean_gradient_norm", "Mean norm of the gradient at the outputs", high=None,
        ideal=None, better="lower", readers={LOSSES: _mean("gradient")},
        formula="mean of ‖softmax(z) − onehot(y)‖₂; |σ(z) − y| of a single logit",
        source="Paul, Ganguli and Dziugaite (2021), EL2N",
    )
)  # fmt: skip
add_metric(
    Metric(
        "training_error_rate", "Error rate on the training batches", ideal=0.0, better="lower",
        readers={LOSSES: _mean("error", 1.0)},
        formula="mean share of wrong predictions of a record, while it is trained on",
        source="zero-one loss of the training batches",
    )
)  # fmt: skip
add_metric(
    Metric(
        "training_false_positive_rate", "False positive rate on the training batches", ideal=0.0,
        better="lower", readers={LOSSES: _share("false_positives", "negatives")},
        formula="false positives / negatives, while they are trained on; binary tasks",
        source="Fawcett (2006)",
    )
)  # fmt: skip
add_metric(
    Metric(
        "training_false_negative_rate", "False negative rate on the training batches", ideal=0.0,
        better="lower", readers={LOSSES: _share("false_negatives", "positives")},
        formula="false negatives / positives, while they are trained on; binary tasks",
        source="Fawcett (2006)",
    )
)  # fmt: skip
add_metric(
    Metric(
        "mean_confidence", "Mean confidence over the training", ideal=1.0, better="higher",
        readers={DYNAMICS: _mean("confidence", 1.0)},
        formula="mean over records of the mean, over its visits, of the true class's probability",
        source="Swayamdipta et al. (2020)",
    )
)  # fmt: skip
add_metric(
    Metric(
        "mean_variability", "Mean variability over the training", high=0.5, ideal=None,
        readers={DYNAMICS: _mean("variability", 0.5)},
        formula="mean over records, seen twice or more, of the standard deviation over its visits "
        "of the true class's probability",
        source="Swayamdipta et al. (2020)",
    )
)  # fmt: skip
add_metric(
    Metric(
        "forgetting_rate", "Share of records forgotten", ideal=0.0, better="lower",
        readers={DYNAMICS: _share("forgotten", "learned")},
        formula="records once right and later wrong / records once right",
        source="Toneva et al. (2019)",
    )
)  # fmt: skip
add_metric(
    Metric(
        "never_learned_rate", "Share of records never learned", ideal=0.0, better="lower",
        readers={DYNAMICS: _share("never_learned", "records")},
        formula="records that were wrong at every visit / records",
        source="Toneva et al. (2019)",
    )
)  # fmt: skip
add_metric(
    Metric(
        "evaluation_loss", "Mean loss on held-out records", low=None, high=None, better="lower",
        readers={EVALUATED: _mean_loss},
        formula="Σ cross-entropy / Σ positions over the records",
        source="ratio estimator, records as clusters",
    )
)  # fmt: skip
add_metric(
    Metric(
        "evaluation_error_rate", "Error rate on held-out records", ideal=0.0, better="lower",
        readers={EVALUATED: _mean("error", 1.0)},
        formula="mean share of the positions of a record that are predicted wrongly",
        source="zero-one loss, records as clusters",
    )
)  # fmt: skip
add_metric(
    Metric(
        "evaluation_true_class_probability", "Mean probability of the truth, held-out records",
        ideal=1.0, better="higher", readers={EVALUATED: _mean("confidence", 1.0)},
        formula="mean over records of the mean probability given to what is true at a position",
        source="Swayamdipta et al. (2020), over held-out records",
    )
)  # fmt: skip
add_metric(
    Metric(
        "mean_part_loss", "Mean loss of one of several criteria", low=None, high=None,
        better="lower", readers={LOSSES: _mean_loss}, parameter="loss",
        formula="Σ loss / Σ weight over the records",
        source="the user's criterion, unreduced; ratio estimator where its weights differ",
    )
)  # fmt: skip


def windows_of(series: SliceTable) -> list[tuple[int, int, SliceTable]]:
    """Return the first step, the last step and the sums of every window of a series.

    The sums are of kind :data:`LOSSES`, so that what is read of a look is read of a window.
    """
    found: list[tuple[int, int, SliceTable]] = []
    for first, last in series.context["steps"]:
        kept = [series.column(f"{name}@{first}-{last}") for name in _SERIES]
        table = SliceTable(LOSSES, series.groups, _SERIES, series.values[:, kept])
        found.append((int(first), int(last), table))
    return found
