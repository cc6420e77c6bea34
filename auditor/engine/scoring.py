"""A model run over the loader of a split: its predictions counted by slice, whatever the task."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.parallel import DistributedDataParallel

from auditor.checks import Predicted
from auditor.engine.datasets import RegisteredData
from auditor.engine.ranks import Ranks
from auditor.errors import InputError
from auditor.loop.evaluation import Evaluated, check_labels, evaluate_model, name_of
from auditor.loop.outputs import Reader
from auditor.loop.readings import COLUMNS
from auditor.loop.sums import TrainingSums
from auditor.metrics.training import EVALUATED, LOSSES
from auditor.stats import (
    CLASSES,
    CONFUSION,
    REGRESSION,
    SCORE_SUMS,
    SCORES,
    Statistic,
    class_counts,
    confusion_counts,
    regression_sums,
    score_counts,
    score_sums,
)

__all__ = ["Scored", "count_all", "count_evaluated", "score_loader"]

Scored = tuple[dict[str, Statistic], Predicted | None]
"""Statistics of a pass over a split, and what was predicted of each record."""


def score_loader(
    model: Any, loader: Any, data: RegisteredData, split: str, reader: Reader, ranks: Ranks
) -> Scored | None:
    """Run a model over the loader of a split and count what it gives by slice.

    What it predicted of each record comes beside, in a binary task. In a distributed training
    every rank scores its own loader and the first one counts; the others get ``None``.
    """
    if not isinstance(model, torch.nn.Module):
        raise InputError(
            f"the model is a {type(model).__name__}",
            valid="a torch.nn.Module, or an estimator with predict",
        )
    index = data.index(split)
    buffers = _buffers_of_rank_0(model, ranks)

    def evaluate() -> Evaluated:
        with _replaced(buffers):
            return evaluate_model(model, loader, index, reader)

    return count_all(evaluate, data, split, name_of(model), ranks)


def _buffers_of_rank_0(
    model: torch.nn.Module, ranks: Ranks
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return buffers and what they hold on rank 0, where ``DistributedDataParallel`` takes those.

    It does so when it is called, and it is not called here.
    """
    if not (isinstance(model, DistributedDataParallel) and model.broadcast_buffers):
        return []
    own = list(model.buffers())
    first = ranks.meet(
        "the buffers of the model",
        lambda: [buffer.cpu() for buffer in own] if ranks.leads else [],
        lambda parts: parts[0],
        tell=True,
    )
    return list(zip(own, first or [], strict=True))


@contextmanager
def _replaced(buffers: list[tuple[torch.Tensor, torch.Tensor]]) -> Generator[None]:
    """Put other values into buffers, for as long as a model is scored."""
    before = [buffer.clone() for buffer, _ in buffers]
    with torch.no_grad():
        for buffer, first in buffers:
            buffer.copy_(first)
        try:
            yield
        finally:
            for (buffer, _), given in zip(buffers, before, strict=True):
                buffer.copy_(given)


def count_all(
    evaluate: Callable[[], Evaluated], data: RegisteredData, split: str, name: str, ranks: Ranks
) -> Scored | None:
    """Count what every rank's pass over its part of a split gives, each record once, on rank 0.

    The others get ``None``. Raises on every rank what was raised on any.
    """

    def count(parts: list[tuple[Mapping[str, str], Evaluated]]) -> Scored:
        (digests, evaluated), *others = parts
        for rank, (theirs, part) in enumerate(others, 1):
            if theirs != digests:
                raise InputError(
                    f"rank {rank} registered other records", where=f"{split}=",
                    valid="the same table on every rank, whole: rows are known by their position",
                )  # fmt: skip
            evaluated.merge(part)
        return count_evaluated(evaluated, data, split, name)

    return ranks.meet(f"scoring {split}=", lambda: (data.digests(split), evaluate()), count)


def count_evaluated(evaluated: Evaluated, data: RegisteredData, split: str, name: str) -> Scored:
    """Count the readings of a pass over a split by slice; ``name`` is that of the model."""
    index = data.index(split)
    check_labels(evaluated, index)
    rows, block = evaluated.parts()
    read = {column: block[:, i] for i, column in enumerate(COLUMNS)}
    context = {
        "target": data.roles.target or "labels of the loader",
        "prediction": f"{name} on {split}",
        "score": f"{name} on {split}",
    }
    codes = _codes(data, split, rows)
    groups = data.groups
    if (block[:, COLUMNS.index("weight")] > 0).any():
        return _losses(data, split, rows, block, context), None
    if index.task == "regression":
        del context["score"]
        sums = regression_sums(groups, codes, read["label"], read["prediction"], context=context)
        return {REGRESSION: sums}, None
    if index.task == "multiclass":
        del context["score"]
        classes = index.classes
        true, predicted = (_names(read[c], classes) for c in ("label", "prediction"))
        return {
            CLASSES: class_counts(groups, codes, true, predicted, classes=classes, context=context)
        }, None
    y_true, y_pred = (_with_missing(read[c]) for c in ("label", "prediction"))
    scores = read["score"]
    cells = 3 * np.where(np.isnan(y_true), 2, y_true) + np.where(np.isnan(y_pred), 2, y_pred)
    return {
        CONFUSION: confusion_counts(groups, codes, y_true, y_pred, context=context),
        SCORES: score_counts(groups, codes, y_true, scores, context=context),
        SCORE_SUMS: score_sums(groups, codes, y_true, scores, context=context),
    }, Predicted(split, rows.astype(np.int64), cells.astype(np.int64))


def _losses(
    data: RegisteredData,
    split: str,
    rows: NDArray[np.int64],
    block: NDArray[np.float64],
    context: Mapping[str, Any],
) -> dict[str, Statistic]:
    """Return the sums of what predicts at several positions of a record."""
    sums = TrainingSums(data.groups, data.codes(split))
    sums.add(rows, np.ones(len(rows), np.int64), block)
    found = sums.statistics({"target": context["target"], "prediction": context["prediction"]})
    total = found[LOSSES]
    return {EVALUATED: type(total)(EVALUATED, total.groups, total.columns, total.values,
                                   total.context)}  # fmt: skip


def _codes(data: RegisteredData, split: str, rows: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the group codes of rows; those that are not registered are of unknown groups."""
    codes = data.codes(split)
    found = codes[np.maximum(rows, 0)].copy()
    found[rows < 0] = [attribute.size - 1 for attribute in data.groups.attributes]
    return found


def _names(numbers: NDArray[np.float64], classes: tuple[str, ...]) -> list[str | None]:
    """Return the names of class numbers; raises :class:`InputError` for one that has none."""
    highest = int(np.nanmax(numbers)) if len(numbers) else -1
    if highest >= len(classes):
        raise InputError(
            f"the model predicts class number {highest} and the target has {len(classes)} classes",
            valid=f"0 to {len(classes) - 1}: {', '.join(classes[:5])}, in the order of their names",
        )
    names = [*classes, None]
    return [names[int(number)] for number in numbers]


def _with_missing(values: NDArray[np.float64]) -> NDArray[np.float64]:
    out = values.astype(np.float64)
    out[(values != 0) & (values != 1)] = np.nan
    return out
