"""Counters of energy that a machine may have: of its accelerators, of its processor packages."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["POWERCAP", "Counter", "accelerator_counters", "package_counters"]

POWERCAP = Path("/sys/class/powercap")


@dataclass(slots=True)
class Counter:
    """An ever-growing number of joules; ``read`` raises where it cannot be read.

    ``part`` is ``accelerator``, ``cpu`` or ``memory``, ``source`` what the counter is. ``span`` is
    the number of joules after which it begins again from 0. ``power`` says that ``read`` gives
    watts at this moment instead, so that energy has to be estimated.
    """

    part: str
    name: str
    source: str
    read: Callable[[], float]
    span: float | None = None
    power: bool = False

    def between(self, before: float, after: float, seconds: float) -> float:
        """Return the joules between two readings, over one wrap-around at most.

        Where power is read, the mean of the two readings times the seconds.

        >>> Counter("cpu", "package-0", "rapl", lambda: 0.0, span=100.0).between(90.0, 5.0, 1.0)
        15.0
        """
        if self.power:
            return (before + after) / 2 * seconds
        if after >= before:
            return after - before
        # Without a span the counter was reset (a driver loaded again): what it shows is a part.
        return after if self.span is None else after + self.span - before


def package_counters(root: Path = POWERCAP) -> tuple[list[Counter], list[str]]:
    """Return the counters of processor packages and memory, and why there are none, or not all.

    Linux lays them out as ``<zone>/name``, ``energy_uj`` and ``max_energy_range_uj`` (RAPL, of
    Intel and AMD processors, through the power capping framework). Packages hold their cores; the
    ``dram`` zone below a package is beside it. The platform zone (``psys``) holds them all and is
    left out. Since 2020 (CVE-2020-8694) the counters can be read by root only, unless the
    administrator allows it; containers and virtual machines have none as a rule.
    """
    if not root.is_dir():
        return [], [f"there is no {root}"]
    counters: list[Counter] = []
    reasons: list[str] = []
    for zone in sorted(root.glob("*-rapl*:*")):
        try:
            name = (zone / "name").read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            continue
        part = "cpu" if name.startswith("package") else "memory" if name == "dram" else None
        # The counters of the memory-mapped interface are those of the other one again.
        if part is None or "mmio" in zone.name:
            continue
        read = _micro(zone / "energy_uj")
        try:
            read()
            span = _micro(zone / "max_energy_range_uj")()
        except PermissionError:
            reasons.append(f"{zone.name}: reading is not permitted")
            continue
        except (OSError, ValueError) as error:
            reasons.append(f"{zone.name}: {type(error).__name__}")
            continue
        counters.append(Counter(part, f"{zone.name} {name}", "rapl", read, span=span or None))
    return counters, reasons or ([] if counters else [f"{root} holds no package"])


def _micro(file: Path) -> Callable[[], float]:
    return lambda: int(file.read_text(encoding="ascii")) / 1e6


def accelerator_counters(
    devices: Sequence[int] | None = None, *, library: Any = None
) -> tuple[list[Counter], list[str]]:
    """Return the counters of the accelerators, and why there are none, or not all.

    ``devices`` are positions among the visible ones; all of them by default. ``library`` stands in
    for ``pynvml``, the bindings of NVML, which are imported here where they are installed; NVML is
    the one interface that is read so far. ``nvmlDeviceGetTotalEnergyConsumption`` counts
    millijoules since the driver was loaded; devices without it tell their power.
    """
    if library is None:
        try:
            import pynvml as library  # type: ignore[import-not-found, no-redef]
        except ImportError:
            return [], ["pynvml is not installed"]
    bindings: Any = library
    try:
        bindings.nvmlInit()
        handles = _visible(bindings)
    except Exception as error:  # noqa: BLE001 -- the bindings' own errors derive from Exception
        return [], [f"NVML: {error}"]
    counters: list[Counter] = []
    reasons: list[str] = []
    for position in range(len(handles)) if devices is None else devices:
        if position >= len(handles):
            reasons.append(f"NVML has no device {position}")
            continue
        found = _device(bindings, handles[position], position)
        if isinstance(found, str):
            reasons.append(found)
        else:
            counters.append(found)
    return counters, reasons or ([] if counters else ["NVML finds no device"])


def _device(bindings: Any, handle: Any, position: int) -> Counter | str:
    name = f"device {position}"

    def energy() -> float:
        return bindings.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3

    def power() -> float:
        return bindings.nvmlDeviceGetPowerUsage(handle) / 1e3

    with contextlib.suppress(Exception):
        energy()
        return Counter("accelerator", name, "nvml", energy)
    try:
        power()
    except Exception as error:  # noqa: BLE001 -- as above
        return f"NVML, {name}: {error}"
    return Counter("accelerator", name, "nvml-power", power, power=True)


def _visible(bindings: Any) -> list[Any]:
    """Return the handles of the devices that the environment leaves visible, in its order."""
    stated = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = int(bindings.nvmlDeviceGetCount())
    if stated is None:
        return [bindings.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
    handles: list[Any] = []
    for word in (word.strip() for word in stated.split(",")):
        if word.isdigit() and int(word) < count:
            handles.append(bindings.nvmlDeviceGetHandleByIndex(int(word)))
        elif word.startswith(("GPU-", "MIG-")):
            handles.append(bindings.nvmlDeviceGetHandleByUUID(word))
        else:
            break  # as the driver does: nothing after the first word that names no device
    return handles
