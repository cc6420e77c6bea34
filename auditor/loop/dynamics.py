"""What became of every record over the training: confidence, variability, forgetting.

For each registered record the visits are kept as sums, and as whether it was right at the first
and at the last visit with the number of times that it was forgotten in between. So two parts of a
training merge in the order of their time, and ranks that share an epoch merge by it.

Sources: Swayamdipta et al. (2020), Dataset Cartography; Toneva et al. (2019), An Empirical Study
of Example Forgetting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError
from auditor.metrics.means import columns_of
from auditor.metrics.training import DYNAMICS
from auditor.stats import Groups, SliceTable

__all__ = ["Dynamics"]

_COLUMNS = (
    "records", "records:confidence", *columns_of("confidence"), "records:variability",
    *columns_of("variability"), "learned", "forgotten", "never_learned",
)  # fmt: skip

_FIELDS: dict[str, Any] = {
    "visits": np.int32, "confidence": np.float64, "squares": np.float64, "right": np.int32,
    "forgotten": np.int32, "first_step": np.int64, "first": np.int8, "last": np.int8,
}  # fmt: skip
_NEVER = np.iinfo(np.int64).max


class Dynamics:
    """The dynamics of the records of one split, 38 bytes each in host memory.

    Attributes, all of shape ``[rows]``: ``visits``; ``confidence`` and ``squares``, the sums over
    visits of the true class's probability and its square; ``right``, visits with the right
    prediction; ``forgotten``, the times that it was right and then wrong; ``first`` and ``last``,
    whether it was right at the first and the last visit (−1: never visited).
    """

    visits: NDArray[np.int32]
    confidence: NDArray[np.float64]
    squares: NDArray[np.float64]
    right: NDArray[np.int32]
    forgotten: NDArray[np.int32]
    first_step: NDArray[np.int64]
    first: NDArray[np.int8]
    last: NDArray[np.int8]

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.reset()

    def reset(self) -> None:
        """Begin again, as if no record had been visited."""
        for name, dtype in _FIELDS.items():
            fill = _NEVER if name == "first_step" else -1 if name in ("first", "last") else 0
            setattr(self, name, np.full(self.rows, fill, dtype))

    def add(
        self,
        rows: NDArray[np.int64],
        steps: NDArray[np.int64],
        confidence: NDArray[np.float64],
        error: NDArray[np.float64],
    ) -> None:
        """Add visits in the order of time, all of shape ``[visits]``.

        Records that are not registered, and those without a label, are left out. In a sequence the
        prediction is right where more than half of the positions are.
        """
        kept = (rows >= 0) & np.isfinite(confidence) & np.isfinite(error)
        rows, steps, confidence = rows[kept], steps[kept], confidence[kept]
        right = error[kept] < 0.5
        while len(rows):
            _, first = np.unique(rows, return_index=True)
            if len(first) == len(rows):
                self._visit(rows, steps, confidence, right)
                return
            now = np.zeros(len(rows), bool)
            now[first] = True
            self._visit(rows[now], steps[now], confidence[now], right[now])
            rows, steps = rows[~now], steps[~now]
            confidence, right = confidence[~now], right[~now]

    def _visit(self, rows: Any, steps: Any, confidence: Any, right: Any) -> None:
        """Add at most one visit of each record."""
        last = self.last[rows]
        self.forgotten[rows] += (last == 1) & ~right
        new = last == -1
        self.first[rows[new]], self.first_step[rows[new]] = right[new], steps[new]
        self.last[rows] = right
        self.visits[rows] += 1
        self.right[rows] += right
        self.confidence[rows] += confidence
        self.squares[rows] += confidence * confidence

    def merge(self, state: Mapping[str, Any]) -> None:
        """Add what another rank, or a later part of the training, saw."""
        other = Dynamics(self.rows)
        other.load_state_dict(state)
        both = (self.visits > 0) & (other.visits > 0)
        ours_first = self.first_step <= other.first_step
        gap = np.where(ours_first, (self.last == 1) & (other.first == 0),
                       (other.last == 1) & (self.first == 0))  # fmt: skip
        self.forgotten += other.forgotten + (both & gap)
        first = np.where(ours_first, self.first, other.first)
        unseen = other.visits == 0
        self.last = np.where(ours_first & ~unseen, other.last, self.last).astype(np.int8)
        self.last = np.where((self.visits == 0) & ~unseen, other.last, self.last).astype(np.int8)
        self.first = first.astype(np.int8)
        self.first_step = np.minimum(self.first_step, other.first_step)
        for name in ("visits", "confidence", "squares", "right"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def frame(self) -> dict[str, NDArray[Any]]:
        """Return the coordinates of every visited record: row, visits, confidence, variability.

        ``confidence`` is the mean and ``variability`` the standard deviation over visits of the
        true class's probability, ``correctness`` the share of visits that were right.
        """
        rows = np.flatnonzero(self.visits)
        visits = self.visits[rows]
        mean = self.confidence[rows] / visits
        spread = np.sqrt(np.maximum(self.squares[rows] / visits - mean * mean, 0.0))
        return {
            "row": rows, "visits": visits, "confidence": mean, "variability": spread,
            "correctness": self.right[rows] / visits, "forgotten": self.forgotten[rows],
        }  # fmt: skip

    def statistic(
        self, groups: Groups, codes: NDArray[np.int32], context: Mapping[str, Any]
    ) -> SliceTable | None:
        """Return the sums by group; ``None`` where no record was visited."""
        found = self.frame()
        rows = found["row"]
        if not len(rows):
            return None
        seen_twice = found["visits"] > 1
        learned = found["correctness"] > 0
        variability = np.where(seen_twice, found["variability"], 0.0)
        columns = np.stack(
            [
                np.ones(len(rows)), np.ones(len(rows)), found["confidence"],
                found["confidence"] ** 2, seen_twice, variability, variability**2, learned,
                found["forgotten"] > 0, ~learned,
            ],
            axis=1,
        ).astype(np.float64)  # fmt: skip
        table = SliceTable.zero(DYNAMICS, groups, _COLUMNS, sums=True, context=context)
        flat = groups.flat(codes[rows])
        for family in range(flat.shape[1]):
            for column in range(len(_COLUMNS)):
                table.values[:, column] += np.bincount(
                    flat[:, family], weights=columns[:, column], minlength=groups.total
                )
        return table

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the records that were visited."""
        rows = np.flatnonzero(self.visits)
        return {"rows": self.rows, "at": rows, **{n: getattr(self, n)[rows] for n in _FIELDS}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state; raises :class:`InputError` where there are other records."""
        if int(state["rows"]) != self.rows:
            raise InputError(
                f"the checkpoint was made with {int(state['rows']):,} records",
                valid=f"{self.rows:,}",
            )
        self.reset()
        for name in _FIELDS:
            getattr(self, name)[np.asarray(state["at"])] = np.asarray(state[name])
