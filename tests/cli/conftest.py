"""The command line, called in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Auditor = Callable[..., Outcome]


@pytest.fixture
def auditor(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Auditor:
    """Call ``auditor`` with arguments, in an empty folder and without a key of the environment."""
    from auditor.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDITOR_KEY", raising=False)
    monkeypatch.setenv("COLUMNS", "120")

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["auditor", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    return call


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of 2,000 predictions that favour men, as CSV."""
    rng = np.random.default_rng(0)
    rows = 2_000
    sex = rng.choice(["F", "M"], rows)
    race = rng.choice(["A", "B", "C"], rows, p=[0.6, 0.3, 0.1])
    score = np.clip(rng.beta(2, 2, rows) + (sex == "M") * 0.15, 0, 1)
    frame = pd.DataFrame(
        {
            "id": np.arange(rows),
            "sex": sex,
            "race": race,
            "age": rng.integers(18, 90, rows),
            "y": (rng.random(rows) < score).astype(int),
            "p": (score > 0.5).astype(int),
            "s": score,
        }
    )
    path = tmp_path / "table.csv"
    frame.to_csv(path, index=False)
    return path
