"""Counts and sums by slice, on the device: allocated once, added to, copied back at a look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

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


class Accumulator:
    """Accumulates confusion counts, score histograms and losses for flat slices.

    Counts are int64 (a float32 counter stops at 2^24) and sums float64 where the device has it.
    ``update`` issues a fixed number of kernels and never waits for the device.
    """

    def __init__(self, groups: Groups, device: torch.device) -> None:
        self.groups, self.device = groups, device
        total = groups.total
        self._sum_type = _widest_float(device)
        self._cells = torch.zeros(total * 9, dtype=torch.int64, device=device)
        self._losses = torch.zeros((total, 4), dtype=self._sum_type, device=device)
        self.bins = 1024 if total * 2048 <= _MOST_HISTOGRAM else 0
        self._scores = torch.zeros(total * max(self.bins, 1) * 2, dtype=torch.int64, device=device)
        self.batches = 0
        self.lossless = 0

    def update(
        self,
        flat: torch.Tensor,
        y_true: torch.Tensor,
        y_pred: torch.Tensor,
        scores: torch.Tensor | None,
        losses: torch.Tensor | None,
    ) -> None:
        """Add a batch: ``flat`` is ``[batch, families]``, the others ``[batch]``."""
        families = flat.shape[1]
        ones = torch.ones(flat.numel(), dtype=torch.int64, device=self.device)
        cells = (flat * 9 + (3 * y_true + y_pred)[:, None]).reshape(-1)
        self._cells.index_add_(0, cells, ones)
        if scores is not None and self.bins:
            usable = (y_true < 2) & scores.isfinite()
            place = (torch.nan_to_num(scores) * self.bins).long().clamp(0, self.bins - 1)
            key = (flat * self.bins + place[:, None]) * 2 + y_true.clamp(max=1)[:, None]
            self._scores.index_add_(
                0, key.reshape(-1), usable[:, None].expand(-1, families).reshape(-1).long()
            )
        if losses is not None:
            finite = losses.isfinite()
            value = torch.where(finite, losses, 0.0).to(self._sum_type)
            columns = torch.stack(
                [finite.to(self._sum_type), value, value * value, (~finite).to(self._sum_type)], 1
            )
            spread = columns[:, None, :].expand(-1, families, -1).reshape(-1, 4)
            self._losses.index_add_(0, flat.reshape(-1), spread)
        else:
            self.lossless += 1
        self.batches += 1

    def statistics(self, context: dict[str, Any]) -> dict[str, Statistic]:
        """Copy everything to the host as statistics, by kind; waits for the device once."""
        counts = confusion_zero(self.groups, context)
        counts.values[:] = self._cells.cpu().numpy().reshape(-1, 9)
        out: dict[str, Statistic] = {CONFUSION: counts}
        if self.bins:
            out[SCORES] = self._score_counts(counts, context)
        if self.batches > self.lossless:
            names = ("records", *columns_of("loss"), "not_finite")
            sums = SliceTable.zero(LOSSES, self.groups, names, sums=True, context=context)
            sums.values[:] = self._losses.double().cpu().numpy()
            out[LOSSES] = sums
        return out

    def state_dict(self) -> dict[str, Any]:
        """Return the accumulated tensors, on the host."""
        return {
            "cells": self._cells.cpu(),
            "losses": self._losses.cpu(),
            "scores": self._scores.cpu(),
            "batches": self.batches,
            "lossless": self.lossless,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up accumulated tensors; raises :class:`InputError` where the groups differ."""
        if state["cells"].shape != self._cells.shape:
            raise InputError("the checkpoint was made with other groups")
        self._cells.copy_(state["cells"])
        self._losses.copy_(state["losses"])
        self._scores.copy_(state["scores"])
        self.batches, self.lossless = int(state["batches"]), int(state["lossless"])

    def reset(self) -> None:
        """Begin again from zero, in the same memory."""
        for tensor in (self._cells, self._losses, self._scores):
            tensor.zero_()
        self.batches = self.lossless = 0

    def _score_counts(self, counts: SliceTable, context: dict[str, Any]) -> ScoreCounts:
        dense = self._scores.cpu().numpy()
        keys = np.flatnonzero(dense)
        zero = ScoreCounts.zero(self.groups, ScoreGrid(bins=self.bins), context)
        scored = dense.reshape(self.groups.total, -1).sum(axis=1)
        unscored = counts.values.sum(axis=1) - scored
        return ScoreCounts(self.groups, zero.grid, keys, dense[keys], unscored, zero.context)


def _widest_float(device: torch.device) -> torch.dtype:
    try:
        torch.zeros(1, dtype=torch.float64, device=device)
    except (TypeError, RuntimeError):
        return torch.float32
    return torch.float64
