"""The compute of a training: operations counted at a few steps, tokens and time at all of them."""

from __future__ import annotations

import math
import weakref
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import numpy as np
import torch

from auditor.errors import InputError
from auditor.loop.flops import FlopWindow, compiled_frames, is_compiled
from auditor.stats import ENERGY_COLUMNS, SliceTable, compute_zero

__all__ = ["ComputeMeter", "multiplied_parameters", "positions_of"]

_DUE = (2, 10, 100, 1_000, 10_000)


class ComputeMeter:
    """Counts the operations of a few steps, and of all steps the records, tokens and seconds.

    Parameters
    ----------
    model:
        What is trained: its parameters give N, and it says whether it is compiled.
    devices:
        How many devices this process keeps busy; the ranks of a distributed training have a meter
        each, and their statistics are merged.
    budget:
        The largest share of the time since :meth:`start` that counting may take, beyond the first
        step that is counted. A step that is counted costs some microseconds an operation.
    clock:
        Seconds, ever increasing.

    The loop calls :meth:`begin_step` before the first forward pass of a step, :meth:`saw` for every
    micro-batch, and :meth:`end_step` after the last backward pass (in a hook before the step of the
    optimizer, say). Counted are step 3 (two warm up), and then about the 10th, 100th, 1,000th and
    every 10,000th, later where the budget says so. In a step that is counted a dispatch mode is on
    from its begin to its end; none is entered where the user has one on, nor where anything is
    compiled: there 6·N·D takes the place of the count, and is labelled so. Nothing raised in here
    reaches the caller.

    A forward pass of the model without gradients is no training, and is not counted; nor is what
    runs inside :meth:`paused`. Generating under ``no_grad`` within a step is not counted either.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        *,
        devices: int = 1,
        budget: float = 0.01,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        if devices < 1:
            raise InputError(f"{devices} devices", where="devices=", valid="a whole number from 1")
        if not 0 <= budget <= 1:
            raise InputError(f"the budget is {budget}", where="budget=", valid="a share, as 0.01")
        self.parameters = multiplied_parameters(model)
        self.devices, self.budget = devices, budget
        self.fault: str | None = None
        self.unknown: set[str] = set()
        self.flops_by_type: Counter[str] = Counter()
        self._model = weakref.ref(model)
        self._clock = clock
        self._sums: dict[str, float] = dict.fromkeys(compute_zero().columns, 0.0)
        self._compiled_before = compiled_frames()
        self._window: FlopWindow | None = None
        self._handles: list[Any] = []
        self._finalizer: Any = None
        self._lingering: list[FlopWindow] = []
        self._inside = False
        self._began = self._started = self._until = 0.0
        self._running = False
        self._records = self._tokens = 0
        self._typical = self._spent = self._cost = 0.0
        self._due = 0

    # -- the loop -------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the clock of the devices."""
        if not self._running:
            self._running, self._started, self._until = True, self._clock(), 0.0

    def stop(self) -> None:
        """Stop the clock, and leave nothing of the meter in torch or on the model."""
        self.abandon()
        if self._running:
            self._take_time()
            self._running = False

    def begin_step(self) -> None:
        """Begin a step, before its first forward pass; within a step it does nothing."""
        try:
            if self._window is not None and self._window.broken:
                self.abandon()
            if self._inside:
                return
            self._sweep()
            self._inside = True
            self._records = self._tokens = 0
            self._began = self._clock()
            if self._wanted():
                self._open()
        except Exception as error:  # noqa: BLE001 -- the meter must never break the training
            self._fail(error)

    def saw(self, records: int, tokens: int | None = None) -> None:
        """Take the size of a micro-batch that is trained on; shapes only, nothing is waited for.

        ``tokens`` are positions, padding included, since it is computed on as well (see
        :func:`positions_of`); ``None`` where the records have none.
        """
        self._records += records
        self._sums["records"] += records
        if tokens is None:
            self._sums["records:tokenless"] += records
            return
        self._tokens += tokens
        self._sums["tokens"] += tokens
        self._sums["flops:6nd"] += 6.0 * self.parameters * tokens

    def end_step(self) -> None:
        """End a step, after its last backward pass."""
        if not self._inside:
            return
        window = self._window
        try:
            self._close()
            self._inside = False
            self._sums["steps"] += 1
            passed = self._clock() - self._began
            if window is None:
                first = self._sums["steps"] <= 2  # of two that warm up, the later one
                self._typical += (passed - self._typical) * (1.0 if first else 0.1)
                return
            self._cost = max(passed - self._typical, 0.0)
            self._spent += self._cost
            self._keep(window)
        except Exception as error:  # noqa: BLE001 -- as above
            self._fail(error)

    def abandon(self) -> None:
        """Leave a step that did not end (an exception, an epoch that broke off), uncounted."""
        self._close()
        self._inside = False

    @contextmanager
    def paused(self) -> Generator[None, None, None]:
        """Count nothing inside: evaluations, explanations, whatever is no training."""
        window = self._window
        if window is not None:
            window.paused += 1
        try:
            yield
        finally:
            if window is not None:
                window.paused -= 1

    # -- what it gives --------------------------------------------------------------------------

    def statistic(
        self, *, energy: Mapping[str, float] | None = None, base_flops: float | None = None
    ) -> SliceTable:
        """Return the sums so far, of kind ``compute-sums``.

        ``energy`` are the columns of a reading of the machine's counters, and ``base_flops`` what
        is stated of the compute of the base model. Raises :class:`InputError` for columns that are
        none of energy's, and for a compute that is no positive number.
        """
        if self._running:
            self._take_time()
        if base_flops is not None and not 0 < base_flops < math.inf:
            raise InputError(f"the base model's compute is {base_flops}", where="compute=",
                             valid="a positive number of operations, as 1e24")  # fmt: skip
        context = {"parameters": self.parameters, "base_flops": base_flops}
        table = compute_zero(context)
        values = dict(self._sums)
        for name, value in (energy or {}).items():
            if name not in ENERGY_COLUMNS:
                raise InputError(f"{name!r} is no energy", valid=", ".join(ENERGY_COLUMNS))
            values[name] += value
        table.values[0] = np.array([values[name] for name in table.columns], np.float64)
        return table

    def report(self) -> dict[str, Any]:
        """Return what the ledger says: what was counted, in which precision, and what was not."""
        samples, steps = self._sums["samples"], self._sums["steps"]
        how = f"measured on {samples:.0f} sampled steps" if samples else "estimated 6ND"
        if not samples and not self._sums["tokens"]:
            how = "not counted"
        return {
            "method": how,
            "steps": int(steps),
            "parameters": self.parameters,
            "devices": self.devices,
            "flops_by_type": dict(sorted(self.flops_by_type.items())),
            "without_formula": sorted(self.unknown),
            "compiled": bool(self._sums["windows:compiled"]),
            "seconds": self._spent,
            "fault": self.fault,
        }

    # -- for checkpoints and ranks --------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the sums so far; without the energy, which its own meter keeps."""
        if self._running:
            self._take_time()
        return {
            "sums": dict(self._sums),
            "due": self._due,
            "flops_by_type": dict(self.flops_by_type),
            "unknown": sorted(self.unknown),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint; raises :class:`InputError` for a state of something else."""
        sums = _sums_of(state, self._sums)
        self._sums = sums
        self._due = int(state.get("due", 0))
        self.flops_by_type = Counter(state.get("flops_by_type", {}))
        self.unknown = set(state.get("unknown", ()))
        if self._running:
            self._started, self._until = self._clock(), 0.0

    def merge(self, state: Mapping[str, Any]) -> None:
        """Add what the meter of another rank counted; raises :class:`InputError` as above."""
        for name, value in _sums_of(state, self._sums).items():
            self._sums[name] += value
        self.flops_by_type.update(state.get("flops_by_type", {}))
        self.unknown |= set(state.get("unknown", ()))

    # -- inside ---------------------------------------------------------------------------------

    def _wanted(self) -> bool:
        """Whether this step is due, and the budget allows for it."""
        step = self._sums["steps"]
        due = _DUE[self._due] if self._due < len(_DUE) else _DUE[-1] * (self._due - len(_DUE) + 2)
        if step < due or self.fault is not None:
            return False
        elapsed = self._clock() - self._started if self._running else 0.0
        return not self._spent or self._spent + self._cost <= self.budget * elapsed

    def _open(self) -> None:
        model = self._model()
        if model is None:
            return
        if is_compiled(model) or compiled_frames() > self._compiled_before:
            self._sums["windows:compiled"] += 1
            self._due += 1
            return
        if FlopWindow.occupied():
            return  # a mode of the user is on: another step will do
        self._due += 1
        window = FlopWindow()
        before, after = _around_forward(window)
        self._handles = [
            model.register_forward_pre_hook(before),
            model.register_forward_hook(after, always_call=True),
        ]
        self._window = window
        self._finalizer = weakref.finalize(self, window.close)
        window.open()

    def _close(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        window, self._window = self._window, None
        if window is not None:
            if self._finalizer is not None:
                self._finalizer.detach()
            if not window.close():
                self._lingering.append(window)

    def _sweep(self) -> None:
        """Take windows off that lay under a mode of the user when they were closed."""
        self._lingering = [window for window in self._lingering if not window.close()]

    def _keep(self, window: FlopWindow) -> None:
        if window.fault is not None or window.broken or not window.flops or not self._records:
            self._sums["windows:failed"] += 1
            self.fault = window.fault
            return
        sums, flops = self._sums, float(window.flops)
        sums["samples"] += 1
        sums["samples:incomplete"] += bool(window.unknown)
        sums["sum:flops"] += flops
        sums["squares:flops"] += flops * flops
        for unit, value in (("records", self._records), ("tokens", self._tokens)):
            sums[f"sum:{unit}"] += value
            sums[f"squares:{unit}"] += value * value
            sums[f"products:{unit}"] += flops * value
        self.unknown |= window.unknown
        self.flops_by_type.update(window.by_type)

    def _take_time(self) -> None:
        passed = self._clock() - self._started
        self._sums["seconds:device"] += max(passed - self._until, 0.0) * self.devices
        self._until = passed
        self._sums["devices"] = max(self._sums["devices"], self.devices)

    def _fail(self, error: Exception) -> None:
        self.fault = f"{type(error).__name__}: {error}"
        self._sums["windows:failed"] += 1
        self.abandon()


def multiplied_parameters(model: torch.nn.Module) -> int:
    """Return N: the parameters of a model less those that are looked up only.

    Tables of embeddings are looked up; one that is tied to the output layer is multiplied there,
    and counts once (Kaplan et al. 2020 leave embeddings out; torch's own count of a head that
    shares them does not).
    """
    looked_up: set[int] = set()
    multiplied: set[int] = set()
    for module in model.modules():
        table = isinstance(module, (torch.nn.Embedding, torch.nn.EmbeddingBag))
        for parameter in module.parameters(recurse=False):
            (looked_up if table else multiplied).add(id(parameter))
    only = looked_up - multiplied
    return sum(p.numel() for p in model.parameters() if id(p) not in only)


def positions_of(batch: Any) -> int | None:
    """Return how many tokens a batch holds, padding included; ``None`` where it holds none.

    Read off the shape of ``input_ids`` (or ``decoder_input_ids`` beside it) in a mapping, or of a
    tensor of integers with two dimensions. Nothing is read of the values.
    """
    getter = getattr(batch, "get", None)
    if callable(getter):
        found = [getter(name) for name in ("input_ids", "decoder_input_ids")]
        shapes = [value.shape for value in found if isinstance(value, torch.Tensor)]
        return sum(math.prod(shape) for shape in shapes) if shapes else None
    first = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
    if (
        isinstance(first, torch.Tensor) and first.dim() == 2
        and first.dtype in (torch.int64, torch.int32)
    ):  # fmt: skip
        return first.numel()
    return None


def _around_forward(window: FlopWindow) -> tuple[Any, Any]:
    """Return hooks that pause the window in forward passes that keep no graph."""
    without: list[bool] = []

    def before(*_: Any) -> None:
        without.append(not torch.is_grad_enabled())
        window.paused += without[-1]

    def after(*_: Any) -> None:
        if without:
            window.paused -= without.pop()

    return before, after


def _sums_of(state: Mapping[str, Any], known: Mapping[str, float]) -> dict[str, float]:
    sums = state.get("sums")
    if not isinstance(sums, Mapping) or set(sums) != set(known):
        raise InputError("the state is none of this meter's", valid="what state_dict() gave")
    return {name: float(value) for name, value in sums.items()}
