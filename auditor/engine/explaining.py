"""Explanations over a loader, summed by feature and group: sums go on, records do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from auditor.engine.datasets import RegisteredData
from auditor.errors import InputError
from auditor.explain import Attributions, explain
from auditor.loop.evaluation import BatchRows, bare, device_of, split_batch
from auditor.loop.loader import identified
from auditor.loop.world import World
from auditor.metrics.attributions import ATTRIBUTIONS, columns_of
from auditor.stats import Groups, SliceTable

__all__ = ["explain_loader"]


def explain_loader(
    model: Any,
    loader: Any,
    data: RegisteredData,
    *,
    background: Any,
    features: Mapping[str, Sequence[int]] | Sequence[str] | None,
    samples: int,
    records: int,
    output: Any,
    seed: int,
) -> tuple[Attributions, SliceTable]:
    """Explain the first ``records`` records of the loader over ``test=``."""
    if isinstance(model, torch.nn.Module) and World.current().size > 1:
        from auditor.loop.sharded import is_sharded

        if is_sharded(model):
            raise InputError(
                "the parameters of the model are spread over ranks",
                valid="a model that one process holds whole, of a checkpoint",
            )
    rows, x = _records(model, loader, data, records)
    attributions = explain(_alone(model), x, background, samples=samples, output=output, seed=seed)
    named = _name_features(features, x.shape[1])
    protected = [name for name in named if name in data.roles.sensitive]
    flat = data.groups.flat(data.codes("test")[rows])
    return attributions, _sum_up(attributions, named, protected, data.groups, flat)


def _alone(model: Any) -> Any:
    return bare(model) if isinstance(model, torch.nn.Module) else model


def _records(
    model: Any, loader: Any, data: RegisteredData, records: int
) -> tuple[NDArray[np.int64], torch.Tensor]:
    listener = BatchRows()
    inputs: list[torch.Tensor] = []
    rows: list[torch.Tensor] = []
    device = device_of(model) if isinstance(model, torch.nn.Module) else torch.device("cpu")
    with torch.random.fork_rng(devices=[]):
        for batch in identified(loader, data.index("test"), listener):
            part, _ = split_batch(batch, device)
            if not isinstance(part, torch.Tensor) or part.ndim != 2:
                raise InputError(
                    "the inputs are not one tensor of shape [batch, features]",
                    valid="auditor.explain.explain for other models",
                )
            inputs.append(part)
            rows.append(listener.rows)
            if sum(map(len, inputs)) >= records:
                break
    if not inputs:
        raise InputError("the loader yields no batch", valid="a loader with records")
    return torch.cat(rows)[:records].numpy(), torch.cat(inputs)[:records]


def _name_features(
    features: Mapping[str, Sequence[int]] | Sequence[str] | None, width: int
) -> dict[str, list[int]]:
    if features is None:
        return {f"feature {position}": [position] for position in range(width)}
    if isinstance(features, Mapping):
        named = {str(name): [int(c) for c in columns] for name, columns in features.items()}
    else:
        if len(features) != width:
            raise InputError(f"{len(features)} names for {width} features", where="features=")
        named = {str(name): [position] for position, name in enumerate(features)}
    columns = [column for listed in named.values() for column in listed]
    if sorted(columns) != list(range(width)):
        raise InputError(
            f"the named features do not cover the {width} columns once each", where="features=",
            valid=f"columns 0 to {width - 1}, each in one feature",
        )  # fmt: skip
    return named


def _sum_up(
    attributions: Attributions,
    named: dict[str, list[int]],
    protected: Sequence[str],
    groups: Groups,
    flat: NDArray[np.int64],
) -> SliceTable:
    magnitudes = {k: np.abs(v) for k, v in attributions.by_feature(named).items()}
    total = np.sum(list(magnitudes.values()), axis=0)
    safe = np.where(total > 0, total, 1.0)
    quantities = {f"feature:{name}": values for name, values in magnitudes.items()}
    if protected:
        quantities["protected"] = np.sum([magnitudes[name] for name in protected], axis=0) / safe
    quantities["residual"] = attributions.relative_residual
    error = np.abs(attributions.standard_error).mean(axis=1)
    quantities["error"] = error / np.where(safe > 0, safe / attributions.values.shape[1], 1.0)
    names = ["records"]
    columns = [np.ones(len(total))]
    for name, values in quantities.items():
        names += columns_of(name)
        columns += [values, values**2]
    statistic = SliceTable.zero(
        ATTRIBUTIONS, groups, names, sums=True,
        context={"method": attributions.method, "protected": list(protected)},
    )  # fmt: skip
    stacked = np.stack(columns, axis=1)
    for position in range(flat.shape[1]):
        np.add.at(statistic.values, flat[:, position], stacked)
    return statistic
