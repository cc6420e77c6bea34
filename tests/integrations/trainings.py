"""One small training that every library runs: the same model, data, order and seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, TensorDataset

from auditor import Audit

ROWS, BATCH = 400, 32
PER_EPOCH = -(-ROWS // BATCH)


@dataclass
class Task:
    frame: pd.DataFrame
    x: torch.Tensor
    y: torch.Tensor

    def loader(self) -> DataLoader[Any]:
        """The training data, in an order of its own."""
        order = torch.randperm(ROWS, generator=torch.Generator().manual_seed(5)).tolist()
        return DataLoader(TensorDataset(self.x, self.y), batch_size=BATCH, sampler=order)

    def held_out(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(self.x, self.y), batch_size=BATCH)

    def audit(self, **options: Any) -> Audit:
        audit = Audit(budget=1e9, **options)
        audit.data(
            train=self.frame, validation=self.frame, test=self.frame, target="y",
            sensitive=["sex"], record_id="id",
        )  # fmt: skip
        return audit


def make_task() -> Task:
    rng = np.random.default_rng(0)
    sex = rng.choice(["F", "M"], ROWS, p=[0.3, 0.7])
    x = rng.normal(size=(ROWS, 4)) + (sex == "M")[:, None] * 0.5
    y = (x[:, 0] + rng.normal(size=ROWS) > 0.3).astype(int)
    frame = pd.DataFrame({"id": np.arange(ROWS), "sex": sex, "y": y})
    return Task(frame, torch.tensor(x, dtype=torch.float32), torch.tensor(y))


def make_model(dropout: float = 0.0) -> torch.nn.Module:
    torch.manual_seed(7)
    return torch.nn.Sequential(
        torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Dropout(dropout), torch.nn.Linear(16, 2)
    )
