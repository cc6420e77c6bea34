"""The circumstances of a run: code, script, packages, machine. No names of people or hosts."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from auditor.evidence import canonical_json, sha256
from auditor.provenance.machine import machine

__all__ = ["code_state", "environment", "machine", "main_script"]

_PACKAGES = (
    "accelerate", "auditor", "blake3", "cryptography", "duckdb", "fairlearn", "jinja2", "lightning",
    "lightgbm", "numpy", "pandas", "peft", "polars", "pyarrow", "pydantic", "rfc8785",
    "safetensors", "scikit-learn", "shap", "torch", "transformers", "xgboost",
)  # fmt: skip


_SOURCE = {
    ".py", ".pyi", ".ipynb", ".pyx", ".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp", ".r", ".R",
    ".jl", ".rs", ".go", ".sh", ".sql", ".yaml", ".yml", ".toml", ".json", ".cfg", ".ini",
}  # fmt: skip
_LARGEST, _MOST_FILES = 1 << 24, 10_000


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
        "script": main_script(),
        "machine": machine(),
    }


def code_state(folder: Path) -> dict[str, Any] | None:
    """Return the git commit of a folder and digests of what is not committed, or ``None``.

    ``changes`` is the digest of the diff. ``untracked`` is the number of files that git neither
    holds nor ignores; ``untracked_source`` is the digest of the names and digests of those among
    them that are source code or its configuration, up to 16 MiB and 10,000 files each.
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
        "untracked_source": _source_digest(folder, untracked.split(b"\0")),
    }


def _source_digest(folder: Path, names: Iterable[bytes]) -> str | None:
    found: list[list[str]] = []
    for name in sorted(names):
        file = folder / os.fsdecode(name)
        ours = (file.parent / "ledger.jsonl").exists()  # a run: what it holds is no code of it
        if file.suffix in _SOURCE and len(found) < _MOST_FILES and not ours:
            content = _small_file(file)
            if content is not None:
                found.append([name.decode("utf-8", "backslashreplace"), sha256(content)])
    return sha256(canonical_json(found)) if found else None


def main_script() -> dict[str, Any] | None:
    """Return what was started: its kind, its name without folders, and the digest of its file.

    The kind is ``script``, ``module``, ``notebook`` (the name and the digest of a notebook are not
    known to the code in it) or ``interactive``.
    """
    main: Any = sys.modules.get("__main__")
    name = getattr(main, "__file__", None)
    if name is None:
        kind = "notebook" if "ipykernel" in sys.modules else "interactive"
        return {"kind": kind, "name": None, "digest": None}
    spec = getattr(main, "__spec__", None)
    content = _small_file(Path(name))
    return {
        "kind": "script" if spec is None else "module",
        "name": Path(name).name if spec is None else spec.name,
        "digest": None if content is None else sha256(content),
    }


def _small_file(file: Path) -> bytes | None:
    """Read a file of source code; ``None`` for one that is no regular file, too large or gone."""
    try:
        if file.is_symlink() or not file.is_file() or file.stat().st_size > _LARGEST:
            return None
        return file.read_bytes()
    except OSError:
        return None


def _git(folder: Path, *arguments: str) -> bytes | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
