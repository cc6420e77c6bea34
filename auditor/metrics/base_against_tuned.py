"""What fine-tuning changed: errors, selection and loss of the same records, before and after."""

from __future__ import annotations

from auditor.metrics.means import columns_of, mean_of
from auditor.metrics.metric import Metric, SampleReader, add_metric
from auditor.metrics.paired import tango
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Projected, Proportion, Sample
from auditor.stats.paired import PAIRED

__all__ = ["BASE_AGAINST_TUNED"]

_RIGHT = ("both_right", "only_base_right", "only_tuned_right", "both_wrong")
_SELECTED = ("both_selected", "only_base_selected", "only_tuned_selected", "neither_selected")
_YAN = "Yan et al. (2021), Positive-congruent training"


def _share(events: tuple[str, ...], of: tuple[str, ...], missing: str) -> SampleReader:
    def read(row: Row) -> Sample:
        total = sum(row.column(name) for name in of)
        if not total:
            return Absent(missing if row.column("records") else "no records")
        return Proportion(sum(row.column(name) for name in events), total)

    return read


def _change(up: str, down: str, of: tuple[str, ...], missing: str) -> SampleReader:
    """Read (up − down) / n, the difference of two proportions of the same records."""

    def read(row: Row) -> Sample:
        total = sum(row.column(name) for name in of)
        if not total:
            return Absent(missing if row.column("records") else "no records")
        gained, lost = row.column(up), row.column(down)

        def bounds(confidence: float, factor: float) -> tuple[float, float]:
            return tango(gained * factor, lost * factor, total * factor, confidence=confidence)

        return Projected((gained - lost) / total, total, "tango", bounds)

    return read


def _mean(quantity: str) -> SampleReader:
    total, squares = columns_of(quantity)

    def read(row: Row) -> Sample:
        n = row.column("compared")
        if not n:
            return Absent("no losses" if row.column("records") else "no records")
        return mean_of(row.column(total), row.column(squares), n)

    return read


_NO_LABELS = "no record has a label and two predictions"
_NO_PREDICTIONS = "no record has two yes/no predictions"


def _error(name: str, title: str, events: tuple[str, ...], **rest: str) -> str:
    read = _share(events, _RIGHT, _NO_LABELS)
    rest = {"formula": f"({' + '.join(events)}) / judged", "source": "counts of pairs", **rest}
    return add_metric(
        Metric(name, title, ideal=0.0, better="lower", readers={PAIRED: read}, **rest)  # type: ignore[arg-type]
    ).id


BASE_AGAINST_TUNED: tuple[str, ...] = (
    _error("base_error_rate", "Error rate of the base model", ("only_tuned_right", "both_wrong")),
    _error("tuned_error_rate", "Error rate of the tuned model", ("only_base_right", "both_wrong")),
    _error("negative_flip_rate", "Share of records that tuning made wrong", ("only_base_right",),
           source=_YAN),
    _error("positive_flip_rate", "Share of records that tuning made right", ("only_tuned_right",)),
    add_metric(
        Metric("error_rate_change", "Change in error rate by tuning", low=-1.0, better="lower",
               readers={PAIRED: _change("only_base_right", "only_tuned_right", _RIGHT, _NO_LABELS)},
               formula="(only_base_right − only_tuned_right) / judged: tuned − base",
               source="interval: Tango (1998); at 0 its test is McNemar's (1947)")
    ).id,
    add_metric(
        Metric("selection_rate_change", "Change in selection rate by tuning", low=-1.0,
               readers={PAIRED: _change("only_tuned_selected", "only_base_selected", _SELECTED,
                                        _NO_PREDICTIONS)},
               formula="(only_tuned_selected − only_base_selected) / predicted: tuned − base",
               source="interval: Tango (1998)")
    ).id,
    add_metric(
        Metric("base_loss", "Mean loss of the base model", low=None, high=None, better="lower",
               readers={PAIRED: _mean("base")}, formula="Σ loss / records",
               source="cross-entropy of the records that both were given")
    ).id,
    add_metric(
        Metric("tuned_loss", "Mean loss of the tuned model", low=None, high=None, better="lower",
               readers={PAIRED: _mean("tuned")}, formula="Σ loss / records",
               source="cross-entropy of the records that both were given")
    ).id,
    add_metric(
        Metric("loss_change", "Change in loss by tuning", low=None, high=None, better="lower",
               readers={PAIRED: _mean("change")},
               formula="Σ (loss of tuned − loss of base) / records, paired by record",
               source="paired mean, normal interval")
    ).id,
)  # fmt: skip
"""What is read off paired outcomes, in the order in which it is shown."""
