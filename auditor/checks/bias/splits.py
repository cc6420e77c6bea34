"""How findings of several splits are told apart: those of the training data carry no name."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.metrics import Measured
from auditor.stats import Statistic

__all__ = ["of_split"]


def of_split(measured: Sequence[Measured], statistic: Statistic) -> list[Measured]:
    """Put the split of a statistic in brackets behind its metrics (``count[test]``)."""
    split = statistic.context.get("split")
    if split in (None, "train"):
        return list(measured)
    return [(f"{metric}[{split}]", *rest) for metric, *rest in measured]  # type: ignore[misc]
