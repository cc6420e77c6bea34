"""What an audit keeps of an attached loop: the observer, its loaders, and a sample of batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from auditor.engine.datasets import RegisteredData
from auditor.errors import InputError
from auditor.loop.compute import ComputeMeter
from auditor.loop.evaluation import device_of
from auditor.loop.harvest import Harvested
from auditor.loop.loader import identified
from auditor.loop.observer import Observer
from auditor.loop.outputs import Predict, Reader
from auditor.loop.steps import ConsumedStep, merged_steps
from auditor.loop.world import World
from auditor.metrics.training import DYNAMICS, LOSSES
from auditor.provenance.energy import EnergyMeter
from auditor.stats import COMPUTE, Statistic

__all__ = ["Training"]


class Training:
    """An attached training loop, whatever library runs it.

    Parameters
    ----------
    data:
        The registered data, with a split ``train``.
    model:
        The module that is trained.
    predict:
        The user's own reading of scores and predictions.
    probabilities:
        Whether the model gives probabilities, and no logits.
    budget:
        The largest share of the loop's time that observing may take.
    framework:
        What runs the loop, for the record.
    energy:
        What reads the machine's energy; one of its own without.
    """

    def __init__(
        self,
        data: RegisteredData,
        model: Any,
        *,
        predict: Predict | None = None,
        probabilities: bool = False,
        budget: float = 0.01,
        framework: str = "torch",
        energy: EnergyMeter | None = None,
    ) -> None:
        if not isinstance(model, torch.nn.Module):
            raise InputError(f"the model is a {type(model).__name__}", valid="a torch.nn.Module")
        self.data, self.framework = data, framework
        self.index = data.index("train")
        self.reader = Reader(self.index.task, predict=predict, probabilities=probabilities)
        self.world = World.current()
        self.observer = Observer(
            self.index, device=device_of(model), reader=self.reader, budget=budget,
            shared=self.world.size > 1,
        )  # fmt: skip
        self.meter = self.observer.meter = ComputeMeter(model)
        self.energy = energy or EnergyMeter()
        self.base_flops: float | None = None
        self._model = model
        self._given: Any = None
        self._undo: list[Callable[[], Any]] = []
        self._stream = False

    # -- attaching ------------------------------------------------------------------------------

    def identify(self, loader: DataLoader[Any], *, ride: bool = False) -> DataLoader[Any]:
        """Return a loader that yields what the given one would and tells who is in it."""
        audited = identified(loader, self.index, self.observer, ride=ride)
        self.given(loader)
        return audited

    def begin(self) -> None:
        """Start the clocks: everything is hooked."""
        self.meter.start()
        self.energy.start()

    def given(self, loader: Any) -> None:
        """Take the loader whose data the training consumes."""
        self._given = loader
        self._stream = isinstance(loader.dataset, IterableDataset)

    def tap(self, criterion: torch.nn.Module, name: str = "") -> None:
        """Hook a criterion; the one without a name is that of the predictions."""
        if not isinstance(criterion, torch.nn.Module):
            raise InputError(
                f"the criterion is a {type(criterion).__name__}",
                valid="a module, or criterion = audit.criterion(function)",
            )
        self.observer.tap(criterion, name)

    def watch(self, optimizer: Any, *, scaler: Any = None) -> None:
        """Hook an optimizer, whose steps are the steps of the training.

        An optimizer that tells nobody of its steps (it is none of torch's) leaves them unrecorded.
        A ``scaler`` that finds infinities does not move the optimizer: what it skips is no step.
        """
        optimizer = getattr(optimizer, "optimizer", optimizer)
        if not isinstance(optimizer, torch.optim.Optimizer):
            return
        self.observer.watch(optimizer)
        if scaler is not None:
            self._watch_scaler(scaler)

    def _watch_scaler(self, scaler: Any) -> None:
        given, observer = scaler.step, self.observer

        def step(optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            before = observer.step
            out = given(optimizer, *args, **kwargs)
            if observer.step == before:
                observer.skip_step()
            return out

        scaler.step = step
        self.on_detach(lambda: scaler.__dict__.pop("step", None))

    def on_detach(self, undo: Callable[[], Any]) -> None:
        """Take what :meth:`detach` does besides taking the hooks off."""
        self._undo.append(undo)

    def detach(self) -> None:
        """Leave the user's objects as they were."""
        self.observer.detach()
        while self._undo:
            self._undo.pop()()

    def describe(self, **more: Any) -> dict[str, Any]:
        """Return what the ledger says of the loop."""
        parameters = list(self._model.parameters())
        return {
            "framework": self.framework,
            "model": type(self._model).__name__,
            "parameters": sum(p.numel() for p in parameters),
            "trainable": sum(p.numel() for p in parameters if p.requires_grad),
            "device": str(device_of(self._model)),
            "batch_size": getattr(self._given, "batch_size", None),
            "world_size": self.world.size,
            "identified_by": self._identified_by(),
            "torch": torch.__version__,
            **more,
        }

    def _identified_by(self) -> str:
        if self.index.ids is not None and not self._stream:
            return "record id, or position"
        return "record id, or content" if self._stream else "position"

    # -- looks ----------------------------------------------------------------------------------

    def meet(self, *, look: bool = True) -> tuple[dict[str, Statistic], list[ConsumedStep]] | None:
        """Bring all ranks together: what they saw since the last look, and the steps that ended.

        A collective: every rank must come. ``None`` on all ranks but the first. Without ``look``
        only the steps are taken, and what was seen waits for the next look.
        """
        self.observer.drain()
        steps = self.observer.log.take()
        compute = self.meter.statistic(
            energy=self.energy.read().columns(), base_flops=self.base_flops
        )
        if self.world.size == 1:
            return self._statistics(compute) if look else {}, steps
        gathered = self.world.gather((self._parted(), steps, compute))
        if gathered is None:
            self.observer.reset()
            return None
        self._merge([state for state, _, _ in gathered])
        for _, _, other in gathered[1:]:
            compute = compute.merge(other)
        counted = self._statistics(compute) if look else {}
        return counted, merged_steps([ended for _, ended, _ in gathered])

    def _statistics(self, compute: Statistic) -> dict[str, Statistic]:
        out: dict[str, Statistic] = {}
        for name, sums in self.observer.sums.items():
            context: dict[str, Any] = {"split": "train", **({"loss": name} if name else {})}
            found = sums.statistics(context)
            out |= {f"{kind}:{name}" if name else kind: s for kind, s in found.items()}
        dynamics = self.observer.dynamics.statistic(
            self.index.groups, self.index.codes, {"split": "train"}
        )
        if dynamics is not None and LOSSES in out:
            out[DYNAMICS] = dynamics
        if LOSSES in out:
            out[COMPUTE] = compute
        self.observer.reset()
        return out

    def _parted(self) -> dict[str, Any]:
        """Return this rank's state since the ranks met, and begin anew where another one leads."""
        observer = self.observer
        state = {
            "sums": {name: sums.state_dict() for name, sums in observer.sums.items()},
            "dynamics": observer.dynamics.state_dict(),
            "held": [part.state_dict() for part in observer.held],
            "seen_rows": {e: np.concatenate(r) for e, r in observer.seen_rows.items()},
            "epoch": observer.epoch,
            "counts": {name: getattr(observer, name) for name in observer.COUNTS},
        }
        observer.held.clear()
        observer.seen_rows.clear()
        if not self.world.leads:
            observer.dynamics.reset()
            for name in observer.COUNTS:
                setattr(observer, name, 0)
        return state

    def _merge(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Add the states of the ranks to this one's, each record of an epoch once."""
        observer = self.observer
        for state in states[1:]:
            for name, sums in state["sums"].items():
                observer.sums[name].merge(sums)
            observer.dynamics.merge(state["dynamics"])
            for name in observer.COUNTS:
                setattr(observer, name, getattr(observer, name) + state["counts"][name])
        seen: dict[int, Any] = {}
        for state in states:
            for epoch, rows in state["seen_rows"].items():
                seen[epoch] = np.union1d(seen.get(epoch, np.zeros(0, np.int64)), rows)
        for state in states:
            for part in map(Harvested.of_state, state["held"]):
                before = seen.get(part.epochs, np.zeros(0, np.int64))
                kept = part.without(before)
                seen[part.epochs] = np.union1d(before, kept.observed_rows())
                observer.take(kept)
        # An epoch that goes on may meet the same records again on another rank.
        last = max(state["epoch"] for state in states)
        observer.seen_rows.update({e: [rows] for e, rows in seen.items() if e == last})

    # -- for checkpoints ------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the state of this rank, which goes into a checkpoint."""
        return {
            "world_size": self.world.size,
            "observer": self.observer.state_dict(),
            "compute": self.meter.state_dict(),
            "energy": self.energy.state_dict(),
        }

    def load_state_dict(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Take up the states of the ranks that made a checkpoint, however many there are now."""
        own = [state["observer"] for state in states]
        mine = states[self.world.rank :: self.world.size]
        if mine:
            self.meter.load_state_dict(mine[0]["compute"])
            self.energy.load_state_dict(mine[0]["energy"])
        for state in mine[1:]:
            self.meter.merge(state["compute"])
        if len(own) == self.world.size:
            self.observer.load_state_dict(own[self.world.rank])
            return
        # Another world: the first rank takes up everything, the others begin anew.
        if self.world.leads:
            self.observer.load_state_dict(own[0])
            self.observer.held.clear()
            self.observer.seen_rows.clear()
            self._merge(own)
            for state in own[1:]:
                self.observer.log.load_more(state["log"])
        else:
            self.observer.epoch, self.observer.step = int(own[0]["epoch"]), int(own[0]["step"])
            self.observer.reset()

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
        return inputs.to(device_of(self._model))

    def report(self) -> dict[str, Any]:
        """Return what the governor reached, and what was not seen."""
        return {
            **self.observer.report(),
            "compute": self.meter.report(),
            "energy": self.energy.read().to_json(),
        }
