"""Sums of the readings by group, over the whole time between two looks and over windows of steps.

They are added up on the host, in float64 and from whole blocks of records, so that the device only
writes readings. States of ranks, shards and restarts merge by addition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError
from auditor.loop.readings import COLUMNS
from auditor.metrics.training import LOSSES, SERIES, SUMS, series_columns
from auditor.stats import Groups, SliceTable

__all__ = ["TrainingSums"]

_MOST_JOINT = 4_096
_MOST_CELLS = 1 << 17
_MOST_WINDOWS = 24


class TrainingSums:
    """Adds up blocks of readings by group and window.

    Parameters
    ----------
    groups:
        The declared groups.
    codes:
        Group codes of the registered rows, shape ``[rows, attributes]``; row −1 is a record of
        which nothing is known.
    """

    def __init__(self, groups: Groups, codes: NDArray[np.int32]) -> None:
        self.groups = groups
        unknown = np.array([[attribute.size - 1 for attribute in groups.attributes]], np.int32)
        codes = np.concatenate([codes, unknown.reshape(1, len(groups.attributes))])
        self._joint = groups.joint <= _MOST_JOINT
        # A record is counted in one cell of the joint table, or in one slice of every family.
        self._cells = groups.joint_codes(codes)[:, None] if self._joint else groups.flat(codes)
        size = groups.joint if self._joint else groups.total
        self._most_windows = max(2, min(_MOST_WINDOWS, _MOST_CELLS // max(size, 1)) // 2 * 2)
        self._zero = np.zeros((0, size, len(SUMS)))
        self.reset(first=1)

    def reset(self, *, first: int) -> None:
        """Begin again from zero with step number ``first``."""
        self._windows = self._zero.copy()
        self._length = 1
        self._first, self._last = first, first - 1

    def clear(self) -> None:
        """Forget what was added since the same first step: another rank has it."""
        self.reset(first=self._first)

    def add(self, rows: NDArray[np.int64], steps: NDArray[np.int64], block: NDArray[Any]) -> None:
        """Add readings: ``rows`` and ``steps`` have shape ``[records]``, the block as many rows."""
        if not len(rows):
            return
        place = self._place(steps)
        size = self._zero.shape[1]
        columns = _columns(np.asarray(block, np.float64))
        cells = self._cells[rows]
        for family in range(cells.shape[1]):
            keys = place * size + cells[:, family]
            order = np.argsort(keys, kind="stable")
            ordered = keys[order]
            starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
            flat = self._windows.reshape(-1, len(SUMS))
            flat[ordered[starts]] += np.add.reduceat(columns[order], starts, axis=0)

    def _place(self, steps: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the window of every step, making windows longer where there would be too many."""
        self._last = max(self._last, int(steps.max()))
        offset = np.maximum(steps - self._first, 0)
        while int(offset.max()) // self._length >= self._most_windows:
            self._double()
        place = offset // self._length
        missing = int(place.max()) + 1 - len(self._windows)
        if missing > 0:
            self._windows = np.concatenate(
                [self._windows, np.zeros((missing, *self._zero.shape[1:]))]
            )
        return place

    def _double(self) -> None:
        if len(self._windows) % 2:
            self._windows = np.concatenate([self._windows, np.zeros_like(self._windows[:1])])
        self._windows = self._windows[0::2] + self._windows[1::2]
        self._length *= 2

    def statistics(self, context: Mapping[str, Any]) -> dict[str, SliceTable]:
        """Return the sums since the beginning, and those of every window; nothing where empty."""
        if not len(self._windows):
            return {}
        total = self._by_slice(self._windows.sum(axis=0))
        losses = SliceTable(LOSSES, self.groups, SUMS, total, dict(context))
        single = Groups.declare(self.groups.attributes, intersections=1)
        chosen = [i for i, f in enumerate(self.groups.families) if len(f) <= 1]
        spans = self._spans()
        names, kept = series_columns(spans)
        parts = [self._by_slice(window)[:, kept] for window in self._windows]
        values = np.concatenate([_of_families(part, self.groups, chosen) for part in parts], axis=1)
        series = SliceTable(SERIES, single, names, values, {**context, "steps": spans})
        return {LOSSES: losses, SERIES: series}

    def _spans(self) -> list[list[int]]:
        starts = [self._first + i * self._length for i in range(len(self._windows))]
        return [[start, min(start + self._length - 1, self._last)] for start in starts]

    def _by_slice(self, values: NDArray[Any]) -> NDArray[Any]:
        return self.groups.marginals(values) if self._joint else values

    def state_dict(self) -> dict[str, Any]:
        """Return the state; arrays of numpy and whole numbers."""
        return {
            "windows": self._windows.copy(), "length": self._length, "first": self._first,
            "last": self._last,
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state; raises :class:`InputError` where the groups differ."""
        windows = np.asarray(state["windows"], np.float64)
        if windows.shape[1:] != self._zero.shape[1:]:
            raise InputError("the checkpoint was made with other groups")
        self._windows, self._length = windows.copy(), int(state["length"])
        self._first, self._last = int(state["first"]), int(state["last"])

    def merge(self, state: Mapping[str, Any]) -> None:
        """Add the state of another rank, or of another part of the same steps."""
        other = TrainingSums.__new__(TrainingSums)
        other._zero, other._most_windows = self._zero, self._most_windows
        other.load_state_dict(state)
        if not len(other._windows):
            return
        if not len(self._windows):
            self.load_state_dict(state)
            return
        if other._first < self._first or (other._first - self._first) % self._length:
            raise InputError(
                f"sums that begin at step {other._first} cannot be added to some from step "
                f"{self._first}"
            )
        while self._length < other._length:
            self._double()
        while other._length < self._length:
            other._double()
        shift = (other._first - self._first) // self._length
        size = max(len(self._windows), shift + len(other._windows))
        total = np.zeros((size, *self._zero.shape[1:]))
        total[: len(self._windows)] += self._windows
        total[shift : shift + len(other._windows)] += other._windows
        self._windows, self._last = total, max(self._last, other._last)


def _of_families(values: NDArray[Any], groups: Groups, chosen: list[int]) -> NDArray[Any]:
    return np.concatenate(
        [
            values[groups.offset(f) : groups.offset(f) + groups.size(f)]
            for f in (groups.families[i] for i in chosen)
        ]
    )


def _columns(block: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what every record adds to the sums, shape ``[records, sums]``."""
    read = {name: block[:, i] for i, name in enumerate(COLUMNS)}
    out = np.zeros((len(block), len(SUMS)))
    at = {name: i for i, name in enumerate(SUMS)}
    counted = read["weight"] > 0
    finite = counted & np.isfinite(read["loss"])
    loss, weight = np.where(finite, read["loss"], 0.0), np.where(finite, read["weight"], 0.0)
    out[:, at["records"]] = finite
    out[:, at["not_finite"]] = counted & ~finite
    out[:, at["sum:loss"]], out[:, at["squares:loss"]] = loss, loss * loss
    out[:, at["sum:weight"]], out[:, at["squares:weight"]] = weight, weight * weight
    out[:, at["products:loss"]] = loss * weight
    for name in ("confidence", "gradient", "error"):
        known = np.isfinite(read[name])
        value = np.where(known, read[name], 0.0)
        out[:, at[f"records:{name}"]] = known
        out[:, at[f"sum:{name}"]], out[:, at[f"squares:{name}"]] = value, value * value
    wrong = read["error"] == 1
    scored = np.isfinite(read["score"]) & np.isfinite(read["error"])
    for label, total, false in ((0, "negatives", "false_positives"),
                                (1, "positives", "false_negatives")):  # fmt: skip
        true = scored & (read["label"] == label)
        out[:, at[total]], out[:, at[false]] = true, true & wrong
    return out
