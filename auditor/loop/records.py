"""Which record is which: from a position or a record id to the slices that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError, nearest
from auditor.stats import Groups

__all__ = ["RecordIndex"]


@dataclass(frozen=True)
class RecordIndex:
    """The registered rows of one split.

    Parameters
    ----------
    split:
        The name of the split, for messages.
    groups:
        The declared groups.
    codes:
        Group codes, shape ``[rows, attributes]``.
    labels:
        The target as class numbers (−1: missing), shape ``[rows]``, or ``None`` where there are
        no classes.
    record_id:
        The key under which an item may carry its id.
    ids:
        The ids of the rows, in order, or ``None``.
    task:
        ``binary``, ``multiclass`` or ``regression``.
    classes:
        The names of the classes, by number; empty where the task has none.
    """

    split: str
    groups: Groups
    codes: NDArray[np.int32]
    labels: NDArray[np.int64] | None = None
    record_id: str | None = None
    ids: Sequence[str] | None = None
    task: str = "binary"
    classes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """The number of registered rows."""
        return len(self.codes)

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """The position of every id; raises :class:`InputError` for a repeated id."""
        ids = self.ids or ()
        found = {identifier: position for position, identifier in enumerate(ids)}
        if len(found) != len(ids):
            raise InputError(
                f"record ids repeat: {len(ids) - len(found):,} of {len(ids):,}",
                where=f"{self.split}=, column {self.record_id!r}",
                valid="ids that are unique",
            )
        return found

    def carried(self, item: Any) -> bool:
        """Whether an item carries the id of a record."""
        return self.ids is not None and isinstance(item, Mapping) and self.record_id in item

    def row_of(self, item: Mapping[str, Any]) -> int:
        """Return the row of an item that carries its id; −1 where it is not registered."""
        return self.positions.get(_text(item[str(self.record_id)]), -1)

    def row_of_id(self, identifier: Any) -> int:
        """Return the row of an id; raises :class:`InputError` where there is none."""
        text = _text(identifier)
        if text not in self.positions:
            raise InputError(
                f"record {text!r} is not among the rows of {self.split}=",
                valid=nearest(text, list(self.positions)[:10_000]),
            )
        return self.positions[text]


def _text(identifier: Any) -> str:
    return str(getattr(identifier, "item", lambda: identifier)())
