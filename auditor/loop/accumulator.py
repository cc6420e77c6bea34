"""Counts and sums by slice, on the device: allocated once, added to, copied back at a look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from auditor.errors import InputError
from auditor.metrics.attributions import LOSSES, columns_of
from auditor.stats import (
    CONFUSION,
    SCORES,
    Groups,
    ScoreCounts,
    ScoreGrid,
    SliceTable,
    Statistic,
    confusion_zero,
)

__all__ = ["Accumulator"]

_MOST_HISTOGRAM = 1 << 20
_MOST_JOINT = 4_096


class Accumulator:
    """Accumulates confusion counts, score histograms and losses by group.

    Counts are int64 (a float32 counter stops at 2^24) and sums float64 where the device has it.
    ``update`` issues a fixed number of kernels and never waits for the device. Where the joint
    table of the attributes is small, a record is counted in one cell of it, and the families are
    its marginals, added up when the statistics are taken; otherwise once in every family.
    """

    def __init__(self, groups: Groups, device: torch.device) -> None:
        self.groups, self.device = groups, device
        self._joint = groups.joint <= _MOST_JOINT
        cells = groups.joint if self._joint else groups.total
        self._sum_type = _widest_float(device)
        self._counts = torch.zeros(cells * 9, dtype=torch.int64, device=device)
        self._losses = torch.zeros((cells, 4), dtype=self._sum_type, device=device)
        self.bins = 1024 if max(cells, groups.total) * 2048 <= _MOST_HISTOGRAM else 0
        self._scores = torch.zeros(cells * max(self.bins, 1) * 2, dtype=torch.int64, device=device)
        self.batches = 0
        self.lossless = 0

    def cells_of(self, codes: NDArray[np.int32]) -> NDArray[np.int64]:
        """Map group codes ``[rows, attributes]`` to the cells that a row is counted in."""
        return self.groups.joint_codes(codes)[:, None] if self._joint else self.groups.flat(codes)

    def update(
        self,
        cells: torch.Tensor,
        y_true: torch.Tensor,
        y_pred: torch.Tensor,
        scores: torch.Tensor | None,
        losses: torch.Tensor | None,
    ) -> None:
        """Add a batch: ``cells`` is ``[batch, cells of a row]``, the others ``[batch]``."""
        width = cells.shape[1]
        flat = cells.reshape(-1)
        ones = torch.ones_like(flat)
        self._counts.index_add_(0, flat * 9 + _spread(3 * y_true + y_pred, width), ones)
        if scores is not None and self.bins:
            usable = ((y_true < 2) & scores.isfinite()).long()
            place = (torch.nan_to_num(scores) * self.bins).long().clamp(0, self.bins - 1)
            key = place * 2 + y_true.clamp(max=1)
            self._scores.index_add_(
                0, flat * (self.bins * 2) + _spread(key, width), _spread(usable, width)
            )
        if losses is not None:
            finite = losses.isfinite()
            value = torch.where(finite, losses, 0.0).to(self._sum_type)
            known = finite.to(self._sum_type)
            columns = torch.stack([known, value, value * value, 1 - known], 1)
            self._losses.index_add_(
                0, flat, columns if width == 1 else columns.repeat_interleave(width, dim=0)
            )
        else:
            self.lossless += 1
        self.batches += 1

    def statistics(self, context: dict[str, Any]) -> dict[str, Statistic]:
        """Copy everything to the host as statistics, by kind; waits for the device once."""
        counts = confusion_zero(self.groups, context)
        counts.values[:] = self._by_slice(self._counts.cpu().numpy().reshape(-1, 9))
        out: dict[str, Statistic] = {CONFUSION: counts}
        if self.bins:
            out[SCORES] = self._score_counts(counts, context)
        if self.batches > self.lossless:
            names = ("records", *columns_of("loss"), "not_finite")
            sums = SliceTable.zero(LOSSES, self.groups, names, sums=True, context=context)
            sums.values[:] = self._by_slice(self._losses.double().cpu().numpy())
            out[LOSSES] = sums
        return out

    def state_dict(self) -> dict[str, Any]:
        """Return the accumulated tensors, on the host."""
        return {
            "counts": self._counts.cpu(),
            "losses": self._losses.cpu(),
            "scores": self._scores.cpu(),
            "batches": self.batches,
            "lossless": self.lossless,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up accumulated tensors; raises :class:`InputError` where the groups differ."""
        if state["counts"].shape != self._counts.shape:
            raise InputError("the checkpoint was made with other groups")
        self._counts.copy_(state["counts"])
        self._losses.copy_(state["losses"])
        self._scores.copy_(state["scores"])
        self.batches, self.lossless = int(state["batches"]), int(state["lossless"])

    def reset(self) -> None:
        """Begin again from zero, in the same memory."""
        for tensor in (self._counts, self._losses, self._scores):
            tensor.zero_()
        self.batches = self.lossless = 0

    def _score_counts(self, counts: SliceTable, context: dict[str, Any]) -> ScoreCounts:
        by_slice = self._by_slice(self._scores.cpu().numpy().reshape(-1, self.bins * 2))
        dense = by_slice.reshape(-1)
        keys = np.flatnonzero(dense)
        zero = ScoreCounts.zero(self.groups, ScoreGrid(bins=self.bins), context)
        scored = by_slice.sum(axis=1)
        unscored = counts.values.sum(axis=1) - scored
        return ScoreCounts(self.groups, zero.grid, keys, dense[keys], unscored, zero.context)

    def _by_slice(self, values: NDArray[Any]) -> NDArray[Any]:
        return self.groups.marginals(values) if self._joint else values


def _spread(values: torch.Tensor, width: int) -> torch.Tensor:
    """Repeat each record's value for each of its cells."""
    return values if width == 1 else values.repeat_interleave(width)


def _widest_float(device: torch.device) -> torch.dtype:
    try:
        torch.zeros(1, dtype=torch.float64, device=device)
    except (TypeError, RuntimeError):
        return torch.float32
    return torch.float64
