"""Brier score, log loss and mean score, from the sums of the errors."""

from __future__ import annotations

from auditor.metrics.means import columns_of, mean_of
from auditor.metrics.metric import Metric, SampleReader, add_metric
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Sample
from auditor.stats import SCORE_SUMS

__all__ = ["SCORE_MEANS"]


def _mean(quantity: str, over: str, high: float | None, *, probabilities: bool) -> SampleReader:
    total, squares = columns_of(quantity)

    def read(row: Row) -> Sample:
        if probabilities and row.everybody[row.columns.index("outside")]:
            return Absent("the scores are no probabilities: some lie outside 0 to 1")
        n = row.column(over)
        if not n:
            return Absent("no scored records" if row.column("records") else "no records")
        low = 0.0 if probabilities else None
        return mean_of(row.column(total), row.column(squares), n, low=low, high=high)

    return read


def _add(identifier: str, title: str, read: SampleReader, **rest: object) -> str:
    add_metric(
        Metric(identifier, title, readers={SCORE_SUMS: read}, **rest)  # type: ignore[arg-type]
    )
    return identifier


SCORE_MEANS: tuple[str, ...] = (
    _add("mean_score", "Mean score", _mean("score", "scored", None, probabilities=False),
         low=None, high=None, formula="Σ score / scored records", source="counted"),
    _add("brier_score", "Brier score", _mean("squared", "judged", 1.0, probabilities=True),
         ideal=0.0, better="lower", formula="mean of (score − y)²",
         source="Brier (1950), Verification of forecasts expressed in terms of probability"),
    _add("log_loss", "Log loss", _mean("log", "judged", None, probabilities=True), high=None,
         ideal=0.0, better="lower", formula="mean of −ln P(y), scores clipped to [2⁻⁵², 1 − 2⁻⁵²]",
         source="Good (1952), Rational decisions; sklearn.metrics.log_loss"),
)  # fmt: skip
"""What is read off score sums, in the order in which it is shown."""
