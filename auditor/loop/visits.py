"""The visits of records that a rank saw since the ranks met: kept one by one, in order.

What happened to a record (was it forgotten?) depends on the order of its visits, and samplers give
it to another rank in every epoch. So ranks keep visits, and bring them together in the order of
the steps. By them it is also known which records an epoch has seen already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Visits"]

_FIELDS: dict[str, Any] = {
    "rows": np.int64, "epochs": np.int64, "steps": np.int64, "confidence": np.float64,
    "error": np.float64,
}  # fmt: skip


class Visits:
    """Visits in the order in which they were added, 40 bytes each in host memory.

    ``columns`` are arrays of shape ``[visits]``: ``rows``, ``epochs``, ``steps``, ``confidence``
    and ``error``, as in the readings.
    """

    def __init__(self) -> None:
        self._parts: dict[str, list[NDArray[Any]]] = {name: [] for name in _FIELDS}

    def add(
        self,
        rows: NDArray[np.int64],
        epoch: int,
        steps: NDArray[np.int64],
        confidence: NDArray[np.float64],
        error: NDArray[np.float64],
    ) -> None:
        """Add visits of one epoch, all of shape ``[visits]``."""
        epochs = np.full(len(rows), epoch, np.int64)
        given = (rows, epochs, steps, confidence, error)
        for name, values in zip(_FIELDS, given, strict=True):
            self._parts[name].append(np.asarray(values, _FIELDS[name]))

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return all columns."""
        return {
            name: np.concatenate([np.zeros(0, _FIELDS[name]), *parts])
            for name, parts in self._parts.items()
        }

    def clear(self) -> None:
        """Forget all."""
        for parts in self._parts.values():
            parts.clear()

    def state_dict(self) -> dict[str, Any]:
        """Return the columns."""
        return self.columns()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`state_dict` gave."""
        self._parts = {name: [np.asarray(state[name], kind)] for name, kind in _FIELDS.items()}

    @classmethod
    def merged(cls, states: Sequence[Mapping[str, Any]]) -> dict[str, NDArray[Any]]:
        """Return the columns of several ranks in the order of steps and epochs, then of ranks."""
        joined = {name: np.concatenate([np.asarray(s[name], kind) for s in states])
                  for name, kind in _FIELDS.items()}  # fmt: skip
        order = np.lexsort((joined["epochs"], joined["steps"]))  # stable
        return {name: values[order] for name, values in joined.items()}
