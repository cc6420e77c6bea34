"""The energy between two moments, and the carbon in it: measured where a counter can be read.

The order is that of codecarbon: NVML for accelerators, RAPL for processors; and where there is no
counter an estimate, by the thermal design power of the processor and 3 W for 8 GB of memory. What
was measured and what was estimated is told apart, part by part.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from auditor.errors import InputError
from auditor.provenance.energy_counters import (
    POWERCAP,
    Counter,
    accelerator_counters,
    package_counters,
)
from auditor.stats.compute import ENERGY_COLUMNS

__all__ = ["WORLD_GRID", "EnergyMeter", "EnergyReading", "GridIntensity", "PartEnergy"]

_CPU_WATTS, _CPU_LOW, _CPU_HIGH = 4.0, 1.0, 25.0
"""Watts a core where the design power is not known: codecarbon's 4; desktop parts of few cores are
rated up to some 25 W a core, mobile and many-core parts down to some 1."""

_MEMORY_WATTS, _MEMORY_LOW, _MEMORY_HIGH = 3 / 8, 5 / 64, 5 / 8
"""Watts a GB: codecarbon's 3 W for 8 GB; 5 W a module of 64 GB, and of 8 GB."""

_INSTRUMENT = 0.05
"""The share by which a counter may be off: what NVML's documentation states of its power readings.
RAPL states none and is given the same."""


@dataclass(frozen=True, slots=True)
class GridIntensity:
    """Grams of CO₂ equivalent a kWh, with bounds, and who says so."""

    value: float
    low: float
    high: float
    source: str
    stated: bool

    @classmethod
    def given(cls, value: Any, source: str | None = None) -> GridIntensity:
        """Take what a user states; raises :class:`InputError` for what is no intensity.

        >>> GridIntensity.given(56, "RTE, 2024").high
        56.0
        """
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not 0 <= value <= 5_000:
            raise InputError(
                f"the grid intensity is {value!r}", where="grid_intensity=",
                valid="grams of CO2 equivalent a kWh, as 56 (from 0 to 5000)",
            )  # fmt: skip
        return cls(float(value), float(value), float(value), source or "given, no source", True)


WORLD_GRID = GridIntensity(
    475.0, 26.0, 995.0, "world average of 2018 (IEA, Global Energy and CO2 Status Report 2019)",
    False,
)  # fmt: skip
"""What stands in where nobody states the grid: 475 g/kWh (IEA 2019, the value of codecarbon). The
bounds are those of any grid: all hydropower or wind (26 g/kWh), and all coal (995 g/kWh), as the
table of codecarbon's methodology has them."""


@dataclass(frozen=True, slots=True)
class PartEnergy:
    """The joules of one part, with bounds; ``scope`` is ``machine`` or ``process``."""

    part: str
    label: Literal["measured", "estimated"]
    source: str
    scope: Literal["machine", "process"]
    joules: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class EnergyReading:
    """The energy of an interval: its parts, what could not be read and why, and the grid."""

    seconds: float
    parts: tuple[PartEnergy, ...]
    missing: tuple[str, ...]
    blind_seconds: float
    grid: GridIntensity
    before: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def joules(self) -> float:
        """The joules of all parts, of this interval and of those before."""
        return sum(v for k, v in self.columns().items() if k.endswith((":measured", ":estimated")))

    @property
    def kilowatt_hours(self) -> float:
        """The same in kWh."""
        return self.joules / 3.6e6

    def columns(self) -> dict[str, float]:
        """Return the columns of ``compute-sums`` that speak of energy; they add up over ranks."""
        out = {name: float(self.before.get(name, 0.0)) for name in ENERGY_COLUMNS}
        for part in self.parts:
            out[f"joule:{part.part}:{part.label}"] += part.joules
            out["joule:low"] += part.low
            out["joule:high"] += part.high
        out["joule:readings"] = max(out["joule:readings"], float(len(self.parts)))
        out["seconds:blind"] += self.blind_seconds
        for name, joules, intensity in (
            ("gram", sum(part.joules for part in self.parts), self.grid.value),
            ("gram:low", sum(part.low for part in self.parts), self.grid.low),
            ("gram:high", sum(part.high for part in self.parts), self.grid.high),
        ):
            grams = joules / 3.6e6 * intensity
            out[name] += grams
            if name == "gram" and not self.grid.stated:
                out["gram:assumed"] += grams
        return out

    def to_json(self) -> dict[str, Any]:
        """Return what a record says of it."""
        return {
            "seconds": self.seconds,
            "parts": [
                {name: getattr(part, name) for name in
                 ("part", "label", "source", "scope", "joules", "low", "high")}
                for part in self.parts
            ],
            "missing": list(self.missing),
            "grid": {"grams_per_kwh": self.grid.value, "source": self.grid.source,
                     "label": "stated" if self.grid.stated else "estimated"},
        }  # fmt: skip


class EnergyMeter:
    """Reads the counters of the machine from :meth:`start` on.

    Parameters
    ----------
    grid_intensity, grid_source:
        Grams of CO₂ equivalent a kWh, and where that is from; :data:`WORLD_GRID` without.
    cpu_watts:
        The thermal design power of the processors, for the estimate; 4 W a core without.
    devices:
        Positions of the accelerators that are this process's own; all without, and the local rank's
        own where a launcher says one (``LOCAL_RANK``).
    machine:
        Whether processors and memory are read, which all ranks of a machine share: by the first
        local rank only, unless told otherwise.

    Counters speak of the whole machine, other people's processes included; estimates of the
    processor speak of this process and of those of its children that have ended. A counter wraps
    around within an hour or so under full load: call :meth:`read` more often than that. Raises
    :class:`InputError` for an intensity or a power that is none.
    """

    def __init__(
        self,
        *,
        grid_intensity: float | None = None,
        grid_source: str | None = None,
        cpu_watts: float | None = None,
        devices: Sequence[int] | None = None,
        machine: bool | None = None,
        powercap: Path = POWERCAP,
        library: Any = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.grid = (
            WORLD_GRID if grid_intensity is None
            else GridIntensity.given(grid_intensity, grid_source)
        )  # fmt: skip
        if cpu_watts is not None and not 0 < cpu_watts < math.inf:
            raise InputError(f"the power of the processors is {cpu_watts}", where="cpu_watts=",
                             valid="watts, as 65")  # fmt: skip
        self.cpu_watts = cpu_watts
        rank = os.environ.get("LOCAL_RANK", "")
        local = int(rank) if rank.isdigit() else None
        self.machine = local in (None, 0) if machine is None else machine
        self._devices = [local] if devices is None and local is not None else devices
        self._powercap, self._library, self._clock = powercap, library, clock
        self._counters: list[Counter] = []
        self._last: dict[str, float] = {}
        self._joules: dict[str, float] = {}
        self._missing: list[str] = []
        self._before: dict[str, float] = {}
        self._began = self._moment = self._cpu = 0.0
        self._blind = False
        self._started = False

    def start(self) -> None:
        """Find the counters and read them for the first time."""
        accelerators, why = accelerator_counters(self._devices, library=self._library)
        self._blind = not accelerators and _has_accelerator()
        if self._blind:
            self._missing.append(f"accelerator: {'; '.join(why)}")
        packages: list[Counter] = []
        if self.machine:
            packages, why = package_counters(self._powercap)
            if why:
                self._missing.append(f"cpu, memory: {'; '.join(why)}")
        self._began = self._moment = self._clock()
        self._cpu = _processor_seconds()
        for counter in (*accelerators, *packages):
            try:
                self._last[counter.name] = counter.read()
            except Exception as error:  # noqa: BLE001 -- the errors of a library that is not ours
                self._missing.append(f"{counter.name}: {error}")
                continue
            self._counters.append(counter)
            self._joules[counter.name] = 0.0
        self._started = True

    def read(self) -> EnergyReading:
        """Return the energy since :meth:`start`; a counter that fails keeps what it had."""
        if not self._started:
            raise InputError("the energy meter was not started", valid="start() before this call")
        now = self._clock()
        for counter in self._counters:
            try:
                value = counter.read()
            except Exception as error:  # noqa: BLE001 -- as above
                note = f"{counter.name}: {error}"
                if note not in self._missing:
                    self._missing.append(note)
                continue
            passed = now - self._moment
            self._joules[counter.name] += counter.between(self._last[counter.name], value, passed)
            self._last[counter.name] = value
        self._moment = now
        seconds = now - self._began
        parts = [_measured(c, self._joules[c.name]) for c in self._counters]
        read = {counter.part for counter in self._counters}
        if self.machine and "cpu" not in read:
            parts.append(self._estimated_cpu(seconds))
        if self.machine and "memory" not in read and (gigabytes := _memory_gigabytes()):
            parts.append(PartEnergy(
                "memory", "estimated", "3 W for 8 GB", "machine",
                *(gigabytes * w * seconds for w in (_MEMORY_WATTS, _MEMORY_LOW, _MEMORY_HIGH)),
            ))  # fmt: skip
        return EnergyReading(
            seconds, tuple(parts), tuple(self._missing), seconds if self._blind else 0.0,
            self.grid, dict(self._before),
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: the columns so far."""
        return {"columns": self.read().columns() if self._started else dict(self._before)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Add what was used before an interruption; raises :class:`InputError`."""
        columns = state.get("columns")
        if not isinstance(columns, Mapping) or not set(columns) <= set(ENERGY_COLUMNS):
            raise InputError("the state is none of this meter's", valid="what state_dict() gave")
        self._before = {name: float(value) for name, value in columns.items()}

    def _estimated_cpu(self, seconds: float) -> PartEnergy:
        """Return load · design power · time, as codecarbon estimates a process.

        At least half of that, for a package that saves power; at most the full power of all cores
        for all of the time.
        """
        cores = _cores()
        used = min(max(_processor_seconds() - self._cpu, 0.0), seconds * cores)
        known = self.cpu_watts is not None
        watts = (self.cpu_watts or 0.0) / cores if known else _CPU_WATTS
        low, high = (watts, watts) if known else (_CPU_LOW, _CPU_HIGH)
        source = f"{'stated' if known else 'assumed'} design power of {watts * cores:g} W, by load"
        return PartEnergy("cpu", "estimated", source, "process", used * watts, used * low / 2,
                          max(seconds * cores * high, used * watts))  # fmt: skip


def _measured(counter: Counter, joules: float) -> PartEnergy:
    # Power at the ends of an interval says little of its middle: from nothing to twice the mean.
    share = 1.0 if counter.power else _INSTRUMENT
    return PartEnergy(
        counter.part, "estimated" if counter.power else "measured", counter.source, "machine",
        joules, joules * (1 - share), joules * (1 + share),
    )  # fmt: skip


def _has_accelerator() -> bool:
    torch: Any = sys.modules.get("torch")
    accelerator: Any = getattr(torch, "accelerator", None)
    if accelerator is not None:
        return bool(accelerator.is_available())
    return bool(torch is not None and torch.cuda.is_available())


def _processor_seconds() -> float:
    return sum(os.times()[:4])


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return max(len(os.sched_getaffinity(0)), 1)
    return os.cpu_count() or 1


def _memory_gigabytes() -> float:
    """Return the memory of the machine, or of the container where it is limited."""
    sizes: list[float] = []
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        sizes.append(float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE"))
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(file).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            sizes.append(float(text))
    return min(sizes) / 1e9 if sizes else 0.0
