"""How often those who labelled a record disagree."""

from __future__ import annotations

from auditor.metrics.means import mean_of
from auditor.metrics.metric import Metric, add_metric
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Proportion, Sample
from auditor.stats.disagreement import DISAGREEMENT

__all__ = ["DISAGREEMENT_METRICS"]

_SOURCE = "Krippendorff (2019), Content analysis, chapter 12: observed disagreement, nominal labels"


def _rate(row: Row) -> Sample:
    judged = row.column("judged")
    if not judged:
        return _absent(row)
    return Proportion(int(row.column("split")), int(judged))


def _pairs(row: Row) -> Sample:
    judged = row.column("judged")
    if not judged:
        return _absent(row)
    return mean_of(row.column("sum:pairs"), row.column("squares:pairs"), judged, low=0.0, high=1.0)


def _absent(row: Row) -> Absent:
    return Absent("no record has two labels" if row.column("records") else "no records")


DISAGREEMENT_METRICS: tuple[str, ...] = (
    add_metric(
        Metric("label_disagreement_rate", "Label disagreement", ideal=0.0, better="lower",
               readers={DISAGREEMENT: _rate}, source=_SOURCE,
               formula="records whose labels are not all equal / records with two or more labels")
    ).id,
    add_metric(
        Metric("pairwise_disagreement", "Pairwise label disagreement", ideal=0.0, better="lower",
               readers={DISAGREEMENT: _pairs}, source=_SOURCE,
               formula="mean over records with two or more labels of the share of pairs of labels "
               "that differ")
    ).id,
)  # fmt: skip
