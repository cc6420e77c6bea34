"""Which record is which: from a position or a record id to the slices that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
        The target as 0, 1 and 2 (missing), shape ``[rows]``, or ``None`` where there is none.
    record_id:
        The key under which an item may carry its id.
    ids:
        The ids of the rows, in order, or ``None``.
    """

    split: str
    groups: Groups
    codes: NDArray[np.int32]
    labels: NDArray[np.int64] | None = None
    record_id: str | None = None
    ids: Sequence[str] | None = None

    @property
    def rows(self) -> int:
        """The number of registered rows."""
        return len(self.codes)

    def positions(self) -> Mapping[str, int]:
        """Return the position of every id; raises :class:`InputError` for a repeated id."""
        ids = self.ids or ()
        found = {identifier: position for position, identifier in enumerate(ids)}
        if len(found) != len(ids):
            raise InputError(
                f"record ids repeat: {len(ids) - len(found):,} of {len(ids):,}",
                where=f"{self.split}=, column {self.record_id!r}",
                valid="ids that are unique",
            )
        return found

    def position_of(self, item: Any, position: int, by_id: Mapping[str, int]) -> int:
        """Return the row of an item of a map-style dataset: by the id it carries, or by place."""
        if by_id and isinstance(item, Mapping) and self.record_id in item:
            identifier = str(item[self.record_id])
            if identifier not in by_id:
                raise InputError(
                    f"record {identifier!r} is not among the rows of {self.split}=",
                    valid=nearest(identifier, list(by_id)[:10_000]),
                )
            return by_id[identifier]
        return position
