"""Discovered subgroups as a statistic that merges: their counts on both halves, and no rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.discovery.encode import Encoded
from auditor.discovery.multicalibration import calibration_sums
from auditor.discovery.sliceline import members
from auditor.discovery.subgroups import Subgroups
from auditor.evidence import Slice
from auditor.metrics.subgroups import SUBGROUP, SUBGROUP_COLUMNS, SUBGROUPS, cell_columns
from auditor.stats import Attribute, Groups, SliceTable

__all__ = ["subgroup_counts"]


def subgroup_counts(
    found: Subgroups,
    encoded: Encoded,
    errors: NDArray[np.float64],
    *,
    confirmation: NDArray[np.bool_],
    labels: NDArray[np.float64] | None = None,
    scores: NDArray[np.float64] | None = None,
    score_bins: int = 10,
    context: Mapping[str, Any] | None = None,
) -> SliceTable:
    """Count everybody and each discovered subgroup.

    Parameters
    ----------
    found:
        What :func:`~auditor.discovery.subgroups.discover` gave, of the rows that have an error.
    encoded, errors, confirmation:
        The features, the errors of 0 or 1 (NaN where there is none) and the half of all rows that
        confirms, shape ``[rows]`` each.
    labels, scores:
        Labels 0 or 1 and probabilities, NaN where missing: with both, the sums for the calibration
        of each subgroup are counted in ``score_bins`` bins.

    The groups are one attribute, ``subgroup``, with the discovered conjunctions for levels: they
    may share records, so that their counts do not add up to everybody's. A record in none of them
    counts for everybody only. The context has ``subgroups``, the conjunctions as mappings.
    """
    slices: dict[str, tuple[Slice, NDArray[np.bool_]]] = {}
    for group in found.found:
        where = encoded.slice_of(group.conjunction)
        slices.setdefault(str(where), (where, members(encoded.codes, group.conjunction)))
    groups = Groups.declare([Attribute(name=SUBGROUP, levels=tuple(slices))])
    calibrated = labels is not None and scores is not None
    columns = (*SUBGROUP_COLUMNS, *(cell_columns(score_bins) if calibrated else ()))
    settings = {
        **(context or {}),
        "subgroups": [dict(where) for where, _ in slices.values()],
        "score_bins": score_bins if calibrated else 0,
    }
    table = SliceTable.zero(SUBGROUPS, groups, columns, sums=True, context=settings)
    masks = [np.ones(confirmation.size, bool), *(inside for _, inside in slices.values())]
    judged = ~np.isnan(errors)
    wrong = np.where(judged, errors, 0.0)
    for row, inside in enumerate(masks):
        here, there = inside & confirmation, inside & ~confirmation
        table.values[row, : len(SUBGROUP_COLUMNS)] = (
            here.sum(), (here & judged).sum(), wrong[here].sum(), (there & judged).sum(),
            wrong[there].sum(),
        )  # fmt: skip
    if labels is not None and scores is not None:
        scored = confirmation & ~np.isnan(labels) & ~np.isnan(scores)
        sums = calibration_sums(
            labels[scored], scores[scored], [mask[scored] for mask in masks], bins=score_bins
        )
        cells = np.concatenate([sums.records, sums.positives, sums.scores], axis=1)
        table.values[: len(masks), len(SUBGROUP_COLUMNS) :] = cells
    return table
