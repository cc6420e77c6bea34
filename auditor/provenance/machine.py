"""What the machine was: processor, memory, accelerators, drivers, torch's build, precision.

Nothing here loads torch: what it sees is recorded where the audited program has loaded it, through
its device interface, whoever made the device.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from pathlib import Path
from typing import Any

__all__ = ["accelerators", "machine", "numerics", "torch_build"]

_DRIVERS = ("nvidia", "amdgpu", "xe", "i915", "habanalabs", "neuron", "mlu", "ascend")
"""Kernel modules that drive accelerators and state their version under ``/sys/module``."""


def machine() -> dict[str, Any]:
    """Return processor, cores, memory, and the accelerators that torch sees, if it is loaded.

    ``cores`` are those of the machine, ``usable_cores`` those that the process may run on.
    ``memory_bytes`` is that of the machine.
    """
    pages = os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    memory = pages * os.sysconf("SC_PAGE_SIZE") if pages > 0 else None
    return {
        "cpu": platform.machine(),
        "cpu_model": _cpu_model(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "memory_bytes": memory,
        "system": f"{platform.system()} {platform.release()}",
        "accelerators": accelerators(),
        "drivers": _drivers(),
        "torch": torch_build(),
        "numerics": numerics(),
    }


def accelerators() -> list[dict[str, Any]]:
    """Return type, index, name and memory of every device that torch sees."""
    torch: Any = sys.modules.get("torch")
    accelerator = getattr(torch, "accelerator", None)
    if accelerator is None or not accelerator.is_available():
        return _through_xla()
    kind = str(accelerator.current_accelerator())
    module: Any = getattr(torch, kind, None)
    found: list[dict[str, Any]] = []
    for index in range(accelerator.device_count()):
        entry: dict[str, Any] = {"type": kind, "index": index}
        if hasattr(module, "get_device_properties"):
            properties = module.get_device_properties(index)
            entry["name"] = str(getattr(properties, "name", ""))
            entry["memory_bytes"] = int(getattr(properties, "total_memory", 0)) or None
            for name in ("multi_processor_count", "max_compute_units", "gcnArchName"):
                value = getattr(properties, name, None)
                if isinstance(value, (int, str)):
                    entry[{"gcnArchName": "architecture"}.get(name, "units")] = value
            capability = [getattr(properties, name, None) for name in ("major", "minor")]
            if all(isinstance(part, int) for part in capability):
                entry["capability"] = ".".join(map(str, capability))
        found.append(entry)
    return found


def torch_build() -> dict[str, Any] | None:
    """Return torch's version, commit and the versions of what it was built for; ``None`` without.

    ``toolkits`` are the versions that ``torch.version`` states (``cuda``, ``hip``, ``xpu``, …), and
    ``libraries`` those of the backends that tell one.
    """
    torch: Any = sys.modules.get("torch")
    version: Any = getattr(torch, "version", None)
    if version is None:
        return None
    plain = {"__version__", "debug", "git_version"}
    toolkits = {
        name: value
        for name, value in sorted(vars(version).items())
        if isinstance(value, str) and name not in plain and not name.startswith("_")
    }
    libraries: dict[str, str] = {}
    backends: Any = getattr(torch, "backends", None)
    for name in sorted(vars(backends)) if backends is not None else ():
        report = getattr(getattr(backends, name), "version", None)
        with contextlib.suppress(Exception):
            value = report() if callable(report) else None
            if isinstance(value, (int, str)):
                libraries[name] = str(value)
    return {
        "version": str(getattr(torch, "__version__", "")),
        "commit": getattr(version, "git_version", None),
        "toolkits": toolkits,
        "libraries": libraries,
        "threads": _asked(torch, "get_num_threads"),
    }


def numerics() -> dict[str, Any] | None:
    """Return what decides how torch rounds: default type, reduced precision, determinism.

    ``reduced`` are the switches of the backends by which a product of 32-bit numbers may be rounded
    to fewer bits. ``None`` where torch is not loaded.
    """
    torch: Any = sys.modules.get("torch")
    if not hasattr(torch, "get_default_dtype"):
        return None
    reduced: dict[str, bool] = {}
    deterministic: dict[str, bool] = {}
    for name in sorted(vars(torch.backends)):
        backend: Any = getattr(torch.backends, name)
        for owner, label in ((backend, name), (getattr(backend, "matmul", None), f"{name}.matmul")):
            for switch, into in (("allow_tf32", reduced), ("deterministic", deterministic),
                                 ("benchmark", deterministic)):  # fmt: skip
                # Some backends refuse to tell where newer switches were set.
                with contextlib.suppress(Exception):
                    value = getattr(owner, switch, None)
                    if isinstance(value, bool):
                        into[f"{label}.{switch}"] = value
    return {
        "default_type": str(torch.get_default_dtype()).removeprefix("torch."),
        "matmul_precision": _asked(torch, "get_float32_matmul_precision"),
        "deterministic_algorithms": _asked(torch, "are_deterministic_algorithms_enabled"),
        "reduced": reduced,
        "deterministic": deterministic,
    }


def _asked(owner: Any, name: str) -> Any:
    with contextlib.suppress(Exception):
        value = getattr(owner, name)()
        if isinstance(value, (bool, int, str)):
            return value
    return None


def _through_xla() -> list[dict[str, Any]]:
    """Return the devices of XLA, which torch reaches through another package."""
    xla: Any = sys.modules.get("torch_xla")
    with contextlib.suppress(Exception):
        count = int(xla.runtime.addressable_device_count())
        kind = str(xla.runtime.device_type())
        return [{"type": "xla", "index": index, "name": kind} for index in range(count)]
    return []


def _cpu_model() -> str | None:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n"):
            name, colon, value = line.partition(":")
            if colon and name.strip() in ("model name", "Model", "cpu model"):
                return value.strip()[:200] or None
    return platform.processor() or None


def _drivers() -> dict[str, str]:
    """Return the versions of the kernel modules that drive accelerators."""
    found: dict[str, str] = {}
    for name in _DRIVERS:
        with contextlib.suppress(OSError):
            text = Path(f"/sys/module/{name}/version").read_text(encoding="utf-8").strip()
            found[name] = text[:100]
    return found
