"""Figures that tests measure, kept in one JSON file where somebody asks for them.

``AUDITOR_FIGURES=figures.json make test`` writes what the simulations found; without the variable
nothing is written. Tests take it as the fixture ``figures``: ``figures("coverage", {"n": 30})``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

try:
    import fcntl
except ImportError:  # pragma: no cover -- there is no fcntl on Windows
    fcntl = None

__all__ = ["record"]


def record(name: str, value: Mapping[str, object]) -> None:
    """Put ``value`` under ``name`` into the file that AUDITOR_FIGURES names, if it is set.

    A later figure of the same name takes its place. Test processes share the file under a lock.
    """
    path = os.environ.get("AUDITOR_FIGURES")
    if not path:
        return
    with open(path, "a+", encoding="utf-8") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        text = file.read()
        figures = json.loads(text) if text else {}
        figures[name] = dict(value)
        written = json.dumps(figures, indent=2, sort_keys=True, allow_nan=False, default=float)
        file.truncate(0)
        file.write(written + "\n")
