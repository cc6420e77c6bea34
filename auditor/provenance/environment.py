"""The circumstances of a run: code, packages, machine. No names of people or hosts."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from auditor.evidence import sha256

__all__ = ["code_state", "environment", "machine"]

_PACKAGES = (
    "accelerate", "auditor", "blake3", "cryptography", "duckdb", "fairlearn", "jinja2", "lightning",
    "lightgbm", "numpy", "pandas", "peft", "polars", "pyarrow", "pydantic", "rfc8785",
    "safetensors", "scikit-learn", "shap", "torch", "transformers", "xgboost",
)  # fmt: skip


def environment() -> dict[str, Any]:
    """Return Python, platform, the packages that matter, the code and the machine."""
    packages: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "code": code_state(Path.cwd()),
        "machine": machine(),
    }


def code_state(folder: Path) -> dict[str, Any] | None:
    """Return the git commit of a folder and a digest of what is not committed, or ``None``.

    ``untracked`` is the number of files that git neither holds nor ignores: code may be in them.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(folder, "diff", "--no-ext-diff", "--no-textconv", "--binary", "HEAD") or b""
    untracked = _git(folder, "ls-files", "--others", "--exclude-standard", "-z") or b""
    return {
        "commit": commit.decode().strip(),
        "dirty": bool(changes or untracked),
        "changes": sha256(changes) if changes else None,
        "untracked": untracked.count(b"\0"),
    }


def machine() -> dict[str, Any]:
    """Return processor, cores, memory, and the accelerators that torch sees, if it is loaded."""
    pages = os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    memory = pages * os.sysconf("SC_PAGE_SIZE") if pages > 0 else None
    return {
        "cpu": platform.machine(),
        "cores": os.cpu_count(),
        "memory_bytes": memory,
        "accelerators": _accelerators(),
    }


def _accelerators() -> list[dict[str, Any]]:
    torch: Any = sys.modules.get("torch")
    accelerator = getattr(torch, "accelerator", None)
    if accelerator is None or not accelerator.is_available():
        return []
    kind = str(accelerator.current_accelerator())
    module: Any = getattr(torch, kind, None)
    found: list[dict[str, Any]] = []
    for index in range(accelerator.device_count()):
        entry: dict[str, Any] = {"type": kind, "index": index}
        if hasattr(module, "get_device_properties"):
            properties = module.get_device_properties(index)
            entry["name"] = str(getattr(properties, "name", ""))
            entry["memory_bytes"] = int(getattr(properties, "total_memory", 0)) or None
        found.append(entry)
    return found


def _git(folder: Path, *arguments: str) -> bytes | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
