"""What an audit keeps of an attached loop: the observer, its loader, and a sample of batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.utils.data import DataLoader

from auditor.checks import Predicted
from auditor.engine.datasets import RegisteredData
from auditor.errors import InputError
from auditor.ledger.steps import StepRecorder
from auditor.loop.accumulator import Accumulator
from auditor.loop.evaluation import device_of, evaluate_model
from auditor.loop.loader import identified
from auditor.loop.observer import Observer
from auditor.loop.outputs import Predict
from auditor.metrics.attributions import LOSSES
from auditor.stats import (
    CONFUSION,
    SCORE_SUMS,
    SCORES,
    Statistic,
    confusion_counts,
    score_counts,
    score_sums,
)

__all__ = ["Training", "score_loader"]


class Training:
    """An attached training loop."""

    def __init__(
        self,
        data: RegisteredData,
        model: Any,
        loader: DataLoader[Any],
        criterion: Any,
        *,
        predict: Predict | None,
        budget: float,
    ) -> None:
        if not isinstance(model, torch.nn.Module):
            raise InputError(f"the model is a {type(model).__name__}", valid="a torch.nn.Module")
        if not isinstance(criterion, torch.nn.Module):
            raise InputError(
                f"the criterion is a {type(criterion).__name__}",
                valid="a module, or criterion = audit.criterion(function)",
            )
        self._step_handle: Any = None
        self.predict = predict
        self.probabilities = isinstance(criterion, torch.nn.BCELoss)
        index = data.index("train")
        self._given = loader
        # The loader is checked before the hook is set, so that bad input leaves nothing behind.
        rows: list[torch.Tensor] = []
        identified(loader, index, rows.append)
        self.observer = Observer(
            index, criterion, device=device_of(model), predict=predict, budget=budget
        )
        self.loader = identified(loader, index, self.observer.announce)

    def record_steps(self, optimizer: Any, recorder: StepRecorder | None) -> None:
        """Keep which records each step of the optimizer consumed.

        An optimizer that tells nobody of its steps (it is none of torch's) leaves them unrecorded.
        """
        if recorder is None or not isinstance(optimizer, torch.optim.Optimizer):
            return
        self.observer.recorder = recorder
        self._step_handle = optimizer.register_step_post_hook(self.observer.after_step)

    def describe(self, model: Any, optimizer: Any, criterion: Any) -> dict[str, Any]:
        """Return what the ledger says of the loop."""
        return {
            "model": type(model).__name__,
            "parameters": sum(p.numel() for p in model.parameters()),
            "trainable": sum(p.numel() for p in model.parameters() if p.requires_grad),
            "optimizer": type(optimizer).__name__,
            "criterion": type(criterion).__name__,
            "device": str(self.observer.accumulator.device),
            "batch_size": self._given.batch_size,
            "steps_recorded": self.observer.recorder is not None,
            "torch": torch.__version__,
        }

    def losses(self) -> dict[str, Statistic]:
        """Return the training losses since the last look, and begin again."""
        accumulator: Accumulator = self.observer.accumulator
        found = accumulator.statistics({"split": "train"})
        accumulator.reset()
        return {LOSSES: found[LOSSES]} if LOSSES in found else {}

    def background(self, *, seed: int, records: int = 100) -> torch.Tensor:
        """Return a sample of the training inputs, drawn without touching the random state."""
        dataset: Any = self._given.dataset
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(dataset), generator=generator)[:records].tolist()
        collate: Any = self._given.collate_fn
        with torch.random.fork_rng(devices=[]):
            batch = collate([dataset[position] for position in order])
        inputs = batch[0] if isinstance(batch, (tuple, list)) else batch
        if not isinstance(inputs, torch.Tensor):
            raise InputError("the inputs are not one tensor", valid="background=")
        return inputs.to(self.observer.accumulator.device)

    def detach(self) -> None:
        """Take the hooks off the criterion and the optimizer."""
        self.observer.detach()
        if self._step_handle is not None:
            self._step_handle.remove()

    def report(self) -> dict[str, Any]:
        """Return what the governor reached, and what was not seen."""
        return {
            **self.observer.governor.report(),
            "unmatched_batches": self.observer.unmatched,
            "fault": self.observer.fault,
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the state that goes into a checkpoint."""
        return {"accumulator": self.observer.accumulator.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up the state of a checkpoint."""
        self.observer.accumulator.load_state_dict(state["accumulator"])


def score_loader(
    model: Any,
    loader: Any,
    data: RegisteredData,
    split: str,
    *,
    predict: Predict | None,
    probabilities: bool,
) -> tuple[dict[str, Statistic], Predicted]:
    """Run a model over the loader of a split and count its predictions and scores by slice.

    What it predicted of each record comes beside.
    """
    if not isinstance(model, torch.nn.Module):
        raise InputError(
            f"the model is a {type(model).__name__}",
            valid="a torch.nn.Module, or an estimator with predict",
        )
    index = data.index(split)
    evaluated = evaluate_model(model, loader, index, predict=predict, probabilities=probabilities)
    rows, labels, predictions, scores = evaluated.columns()
    context = {
        "target": data.roles.target or "labels of the loader",
        "prediction": f"{type(model).__name__} on {split}",
        "score": f"{type(model).__name__} on {split}",
    }
    codes = data.codes(split)[rows]
    y_true, values = _with_missing(labels), scores.astype("float64")
    cells = 3 * labels.astype("int64") + predictions.astype("int64")
    return {
        CONFUSION: confusion_counts(
            data.groups, codes, y_true, _with_missing(predictions), context=context
        ),
        SCORES: score_counts(data.groups, codes, y_true, values, context=context),
        SCORE_SUMS: score_sums(data.groups, codes, y_true, values, context=context),
    }, Predicted(split, rows.astype("int64"), cells)


def _with_missing(values: Any) -> Any:
    out = values.astype("float64")
    out[values == 2] = float("nan")
    return out
