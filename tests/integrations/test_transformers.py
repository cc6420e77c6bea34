"""The Trainer audited: nothing changes, and every record is who it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from .conftest import (
    Sequences,
    audited,
    classifier,
    digest,
    make_trainer,
)

pytest.importorskip("transformers")
pytest.importorskip("accelerate")


def test_weights_and_random_state_are_bit_for_bit_those_without_the_callback(
    sequences: Sequences, tmp_path: Path
) -> None:
    found = []
    for audit in (None, audited(sequences)):
        model = classifier()
        options: dict[str, Any] = {"gradient_accumulation_steps": 2, "max_steps": 20}
        trainer = make_trainer(
            model, tmp_path, sequences.items(), audit, eval_strategy="steps", eval_steps=7,
            trainer={"eval_dataset": sequences.items()}, **options,
        )  # fmt: skip
        trainer.train()
        found.append((digest(model), torch.get_rng_state().numpy().tobytes()))
    assert found[0] == found[1]
    assert audit is not None
    report = audit._training.report()
    assert report["fault"] is None
    assert report["unmatched_batches"] == report["repeated_losses"] == 0
    assert report["steps"] == 20
    audit.close()


def test_losses_by_group_are_those_of_a_naive_loop(sequences: Sequences, tmp_path: Path) -> None:
    with audited(sequences) as audit:
        model = classifier(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        make_trainer(
            model, tmp_path, sequences.items(), audit, max_steps=15, learning_rate=0.0,
            eval_strategy="steps", eval_steps=15, trainer={"eval_dataset": sequences.items()},
        ).train()  # fmt: skip
        with torch.no_grad():
            logits = model(input_ids=sequences.ids).logits
        losses = torch.nn.functional.cross_entropy(logits, sequences.labels, reduction="none").numpy()
        for sex in ("F", "M"):
            mine = (sequences.frame.sex == sex).to_numpy()
            loss = audit.finding("mean_loss", sex=sex)
            assert loss.n == mine.sum()
            assert loss.value == pytest.approx(losses[mine].mean(dtype=np.float64), rel=1e-5)
            rate = audit.finding("selection_rate", stage="training", sex=sex)
            assert rate.value == pytest.approx(logits.argmax(1).numpy()[mine].mean())
            assert rate.n == mine.sum()
    assert np.isfinite(losses).all()
