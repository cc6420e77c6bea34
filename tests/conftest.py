"""What all tests share: how hypothesis searches, where the real data would lie, and figures."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile(
    "auditor",
    deadline=None,
    max_examples=50,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("explore", deadline=None, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "auditor"))

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the project; a test that needs it is skipped without it."""
    if not _SHARED.is_dir():
        pytest.skip("../shared/data is not here")
    return _SHARED


@pytest.fixture(scope="session")
def figures() -> Callable[[str, Mapping[str, object]], None]:
    """Keep what a test measured: ``figures(name, {...})``; see ``tests/figures.py``."""
    # By its path: with --import-mode=importlib no folder of tests is on the path of imports.
    spec = importlib.util.spec_from_file_location("figures", Path(__file__).parent / "figures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.record


@pytest.fixture(scope="session")
def adult() -> pd.DataFrame:
    """Adult with labels, and predictions and scores by a rule; nobody changes it."""
    from auditor.datasets.adult import load_adult

    frame = load_adult()
    married = frame["marital-status"] == "Married-civ-spouse"
    score = frame["education-num"] * 10 + frame["hours-per-week"] // 5 + 30 * married
    return pd.DataFrame(
        {
            "sex": frame["sex"].astype(str),
            "race": frame["race"].astype(str),
            "age": frame["age"],
            "y": (frame["income"] == ">50K").astype(int),
            "score": score,
            "predicted": (score >= 130).astype(int),
        }
    )
