"""The estimated share of wrong labels, from confident joints counted by slice."""

from __future__ import annotations

import numpy as np

from auditor.metrics.metric import Metric, add_metric
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Average, Proportion, Sample

__all__ = ["LABEL_ERROR_RATE", "LABEL_NOISE", "MOST_JOINT_CLASSES"]

LABEL_NOISE = "confident-joint"

MOST_JOINT_CLASSES = 50
"""The joint of more classes is not counted."""

_NOTHING = 1e-9


def _error_rate(row: Row) -> Sample:
    """Read Σᵢ (labels i / labels) · (confidently of another class / confidently of any)."""
    classes = int(row.context["classes"])
    values = np.asarray(row.values[2:], np.float64)
    labels, joint = values[:classes], values[classes:].reshape(classes, classes)
    n = float(labels.sum())
    if not n:
        return Absent("no record has a label")
    confident = joint.sum(axis=1)
    if not confident.sum():
        return Absent("no record is confidently of any class")
    parts = [
        # Of a class without a confident record nothing is known: the interval of no trials.
        Proportion(float(all_ - right), float(all_)) if all_ else Proportion(0.0, _NOTHING)
        for all_, right in zip(confident, np.diag(joint), strict=True)
    ]
    used = [i for i in range(classes) if labels[i] > 0]
    return Average(
        tuple(parts[i] for i in used), tuple(float(labels[i] / n) for i in used), n,
        "confident-joint",
    )  # fmt: skip


LABEL_ERROR_RATE = add_metric(
    Metric(
        "label_error_rate", "Estimated share of wrong labels", ideal=0.0, better="lower",
        readers={LABEL_NOISE: _error_rate},
        formula="Σ over given classes of their share × (confidently of another class / "
        "confidently of any), by out-of-fold probabilities. Where classes overlap, records that "
        "are hard and rightly labelled count too, so that it is an upper reading. The interval is "
        "that of the counts, with the model and the thresholds taken as known",
        source="Northcutt, Jiang and Chuang (2021), Confident learning, JAIR 70; interval: Zou and "
        "Donner (2008)",
    )
)  # fmt: skip
