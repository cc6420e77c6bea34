"""A small, unfair world: two groups, one feature that favours one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class World:
    frame: pd.DataFrame
    x: torch.Tensor
    y: torch.Tensor

    def loader(self, **options: Any) -> DataLoader[Any]:
        options = {"batch_size": 32, "shuffle": True} | options
        return DataLoader(TensorDataset(self.x, self.y), **options)


def make_world(rows: int = 400, seed: int = 0) -> World:
    rng = np.random.default_rng(seed)
    sex = rng.choice(["F", "M"], rows, p=[0.3, 0.7])
    x = rng.normal(size=(rows, 4)) + (sex == "M")[:, None] * 0.5
    y = (x[:, 0] + rng.normal(size=rows) > 0.3).astype(int)
    frame = pd.DataFrame({"id": np.arange(rows), "sex": sex, "y": y})
    return World(
        frame, torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)[:, None]
    )


def make_model() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(16, 1)
    )


@pytest.fixture
def world() -> World:
    return make_world()
