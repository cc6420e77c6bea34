"""What an audit keeps of an attached loop: the observer, its loaders, and a sample of batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset

from auditor.engine.datasets import RegisteredData
from auditor.engine.ranks import Ranks
from auditor.errors import InputError
from auditor.loop.compute import ComputeMeter
from auditor.loop.evaluation import device_of, name_of
from auditor.loop.loader import Carried, identified
from auditor.loop.merging import MergedRanks
from auditor.loop.observer import Observer
from auditor.loop.outputs import Predict, Reader
from auditor.loop.steps import ConsumedStep, StepLog
from auditor.loop.world import World
from auditor.metrics.training import DYNAMICS, LOSSES
from auditor.provenance.energy import EnergyMeter
from auditor.stats import COMPUTE, SliceTable, Statistic

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
        self._joined: list[ConsumedStep] = []
        self._others: list[SliceTable] = []

    # -- attaching ------------------------------------------------------------------------------

    def identify(
        self, loader: DataLoader[Any], *, ride: bool = False, carry: bool = False
    ) -> DataLoader[Any]:
        """Return a loader that yields what the given one would and tells who is in it."""
        audited = identified(loader, self.index, self.observer, ride=ride, carry=carry)
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
        if scaler is not None and "step" not in scaler.__dict__:  # one scaler of several optimizers
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
            "model": name_of(self._model),
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

    def meet(self, ranks: Ranks) -> None:
        """Bring what all ranks saw since they met to rank 0: every rank must come."""
        observer = self.observer
        if self.world.size == 1 or ranks.alone:
            observer.drain()
            return
        met = ranks.meet("bringing together what was seen", self._told, self._join, tell=True)
        assert met is not None
        observer.log.take()
        observer.begin_anew(step=met[0], epoch=met[1], leads=self.world.leads)
        observer.log.put_back(self._joined)
        self._joined = []

    def _told(self) -> dict[str, Any]:
        return {**self.state_dict(), "sums": self._compute()}

    def _compute(self) -> SliceTable:
        """Return what this rank computed since the beginning, and the energy that it took."""
        return self.meter.statistic(energy=self.energy.read().columns(), base_flops=self.base_flops)

    def _join(self, states: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
        """Merge the states of all ranks into the observer of the first one, which this is."""
        self._check_records(states)
        merged = MergedRanks([state["observer"] for state in states])
        merged.into(self.observer)
        self._joined = merged.steps
        self._others = [state["sums"] for state in states[1:]]
        return merged.alignment.end, merged.alignment.epoch

    def _check_records(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Raise :class:`InputError` where ranks registered other records, or states are missing."""
        own = self.data.digests("train")
        for rank, state in enumerate(states):
            if state["records"] != own:
                raise InputError(
                    f"rank {rank} registered other records", where="train=",
                    valid="the same table on every rank, whole: rows are known by their position",
                )  # fmt: skip
        size = int(states[0]["world_size"])
        if len(states) != size:
            raise InputError(
                f"{len(states)} states were given of a training with {size} ranks",
                valid="the states of all ranks, in their order",
            )

    def steps(self) -> list[ConsumedStep]:
        """Return the steps since the last time, after :meth:`meet`: those of all ranks."""
        return self.observer.log.take()

    def forget_steps(self) -> None:
        """Forget the steps of this rank, because those of the others are not known."""
        self.observer.drain()
        self.observer.log.take()

    def statistics(self) -> dict[str, Statistic]:
        """Return what was seen since the last look, and begin the next one."""
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
            compute = self._compute()
            for other in self._others:
                compute = compute.merge(other)
            out[COMPUTE] = compute
        self.observer.reset()
        return out

    def reset(self) -> None:
        """Begin the next look where another rank makes this one."""
        self.observer.reset()

    # -- for checkpoints ------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the state of this rank, which goes into a checkpoint."""
        return {
            "world_size": self.world.size,
            "records": self.data.digests("train"),
            "observer": self.observer.state_dict(),
            "compute": self.meter.state_dict(),
            "energy": self.energy.state_dict(),
        }

    def load_state_dict(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Take up the states of the ranks that made a checkpoint, however many there are now.

        In one process this merges the states of many.
        """
        self._check_records(states)
        own = [state["observer"] for state in states]
        mine = states[self.world.rank :: self.world.size]
        if mine:
            self.meter.load_state_dict(mine[0]["compute"])
            self.energy.load_state_dict(mine[0]["energy"])
        for state in mine[1:]:
            self.meter.merge(state["compute"])
        observer = self.observer
        if len(own) == self.world.size:
            observer.load_state_dict(own[self.world.rank])
            return
        # Another world: the first rank takes up everything, the others begin anew.
        observer.load_state_dict(own[0])
        merged = MergedRanks(own)
        if self.world.leads:
            merged.into(observer)
        observer.log = StepLog()
        end, epoch = merged.alignment.end, merged.alignment.epoch
        observer.begin_anew(step=end, epoch=epoch, leads=self.world.leads)
        if self.world.leads:
            observer.log.put_back(merged.steps)
            for batches in merged.open.values():
                observer.log.load_more(batches)

    def background(self, *, seed: int, records: int = 100) -> torch.Tensor:
        """Return a sample of the training inputs, drawn without touching the random state."""
        dataset: Any = self._given.dataset
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(dataset), generator=generator)[:records].tolist()
        collate: Any = self._given.collate_fn
        with torch.random.fork_rng(devices=[]):
            batch = collate([dataset[position] for position in order])
        if isinstance(batch, Carried):
            batch = batch.batch
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
