"""A tiny world of token sequences: two groups, and a model with random weights to learn them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import Dataset

from auditor import Audit

DATA = {"target": "label", "sensitive": ["sex"], "record_id": "id"}


class Items(Dataset[Any]):
    """Items as a tokenizer makes them; they carry the id of their record where asked."""

    def __init__(self, ids: torch.Tensor, labels: torch.Tensor, keys: Any = None) -> None:
        self.ids, self.labels, self.keys = ids, labels, keys

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, position: int) -> Mapping[str, Any]:
        item = {"input_ids": self.ids[position], "labels": self.labels[position]}
        return item if self.keys is None else {**item, "id": str(self.keys[position])}


@dataclass
class Sequences:
    frame: pd.DataFrame
    ids: torch.Tensor
    labels: torch.Tensor

    def items(self, **options: Any) -> Items:
        return Items(self.ids, self.labels, **options)

    def language(self) -> Items:
        return Items(self.ids, self.ids)


def make_sequences(rows: int = 120, classes: int = 2, seed: int = 0) -> Sequences:
    rng = np.random.default_rng(seed)
    sex = rng.choice(["F", "M"], rows, p=[0.4, 0.6])
    ids = rng.integers(3, 40, (rows, 8))
    labels = (ids[:, 1] + 5 * (sex == "M")) % classes
    frame = pd.DataFrame({"id": [f"r{i}" for i in range(rows)], "sex": sex, "label": labels})
    return Sequences(frame, torch.tensor(ids), torch.tensor(labels))


def classifier(labels: int = 2, **options: Any) -> Any:
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=16, num_labels=labels, **options,
    )  # fmt: skip
    return BertForSequenceClassification(config)


def language_model() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, intermediate_size=32, max_position_embeddings=16,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def make_trainer(model: Any, folder: Path, items: Any, audit: Any = None, **options: Any) -> Any:
    """Return a Trainer; keyword arguments of its own are named ``trainer=``."""
    from transformers import Trainer, TrainingArguments

    from auditor.integrations.transformers import AuditCallback

    given = options.pop("trainer", {})
    callback = options.pop("callback", {})
    settings = {
        "output_dir": str(folder), "per_device_train_batch_size": 8, "max_steps": 10, "seed": 3,
        "per_device_eval_batch_size": 16, "learning_rate": 1e-2, "report_to": [],
        "save_strategy": "no", "disable_tqdm": True, "logging_strategy": "no", "use_cpu": True,
        "dataloader_pin_memory": False,
    } | options  # fmt: skip
    callbacks = [] if audit is None else [AuditCallback(audit, **callback)]
    return Trainer(
        model, TrainingArguments(**settings), train_dataset=items, callbacks=callbacks, **given
    )


def digest(model: torch.nn.Module) -> str:
    found = hashlib.sha256()
    for tensor in model.state_dict().values():
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


@pytest.fixture
def sequences() -> Sequences:
    return make_sequences()


def audited(world: Sequences, **options: Any) -> Audit:
    audit = Audit(budget=1e9, **options)
    audit.data(train=world.frame, validation=world.frame, **DATA)
    return audit
