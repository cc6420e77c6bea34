from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Record = Callable[[str, Mapping[str, object]], None]


def test_figures_gather_in_one_file_and_the_last_of_a_name_stays(
    figures: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "figures.json"
    monkeypatch.setenv("AUDITOR_FIGURES", str(path))
    figures("b", {"coverage": 0.9, "n": 1_000_000})
    figures("a", {"seconds": 1})
    figures("b", {"coverage": 0.95})
    assert json.loads(path.read_text()) == {"a": {"seconds": 1}, "b": {"coverage": 0.95}}


def test_without_the_variable_nothing_is_written(
    figures: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUDITOR_FIGURES", raising=False)
    monkeypatch.chdir(tmp_path)
    figures("a", {"seconds": 1})
    assert list(tmp_path.iterdir()) == []


def test_a_figure_is_a_number(
    figures: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITOR_FIGURES", str(tmp_path / "figures.json"))
    with pytest.raises(ValueError, match="not JSON compliant"):
        figures("a", {"coverage": float("nan")})
