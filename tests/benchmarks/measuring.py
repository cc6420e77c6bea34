"""How a comparison is measured: the two sides take turns, and a row says what came out."""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

Row = dict[str, Any]


def timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def side_by_side(ours: Callable[[], Any], theirs: Callable[[], Any], *, runs: int) -> Row:
    """Time two ways in turn; the ratio is the median of the pairs' ratios (theirs / ours)."""
    ours()
    pairs = [(timed(ours), timed(theirs)) for _ in range(runs)]
    return {
        "ours_seconds": statistics.median(a for a, _ in pairs),
        "theirs_seconds": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(b / a for a, b in pairs),
        "runs": runs,
    }


def budget(bound: str, rows: int) -> str:
    """Return the bound, set for a million rows and more; fewer are measured without one."""
    return bound if rows >= 1_000_000 else "none"


def population(rows: int, groups: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    score = rng.random(rows)
    return pd.DataFrame(
        {
            "group": rng.integers(0, groups, rows).astype(str),
            "score": score,
            "y": (rng.random(rows) < score).astype(np.int8),
            "p": (score > 0.5).astype(np.int8),
        }
    )


def not_installed(*modules: str) -> str | None:
    """Return why a comparison cannot be made here, if it cannot."""
    absent = [name for name in modules if importlib.util.find_spec(name) is None]
    return f"{', '.join(absent)} is not installed" if absent else None
