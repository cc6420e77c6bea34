"""Heads, collations and backends of the Trainer: read rightly, or said to be unknown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from auditor import Audit

from .conftest import (
    DATA,
    Items,
    Sequences,
    audited,
    classifier,
    digest,
    language_model,
    make_sequences,
    make_trainer,
)

pytest.importorskip("transformers")
pytest.importorskip("accelerate")

EVERY = {"eval_strategy": "steps", "eval_steps": 15, "max_steps": 15, "learning_rate": 0.0}


def trained(audit: Audit, folder: Path, model: Any, items: Any, **options: Any) -> dict[str, Any]:
    """Train one epoch and look once; return the report of the observer."""
    given = {"eval_dataset": options.pop("held_out", items), **options.pop("trainer", {})}
    make_trainer(model, folder, items, audit, trainer=given, **EVERY | options).train()
    report = audit._training.report()
    audit.close()
    return report


def evaluated(model: Any, ids: torch.Tensor) -> Any:
    with torch.no_grad():
        return model.eval()(input_ids=ids).logits


def test_several_classes(tmp_path: Path) -> None:
    world = make_sequences(classes=3)
    model = classifier(3)
    audit = Audit(budget=1e9)
    audit.data(train=world.frame, validation=world.frame, task="multiclass", **DATA)
    report = trained(audit, tmp_path, model, world.items())
    assert report["fault"] is None
    predicted = evaluated(model, world.ids).argmax(1).numpy()
    mine = (world.frame.sex == "F").to_numpy()
    wrong = (predicted != world.labels.numpy())[mine].mean()
    assert audit.finding("error_rate", stage="training", sex="F").value == pytest.approx(wrong)


def test_a_regression_head(sequences: Sequences, tmp_path: Path) -> None:
    model = classifier(1, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    values = sequences.labels.float() + 0.25
    frame = sequences.frame.assign(label=values.numpy())
    audit = Audit(budget=1e9)
    audit.data(train=frame, validation=frame, task="regression", **DATA)
    report = trained(audit, tmp_path, model, Items(sequences.ids, values))
    assert report["fault"] is None
    errors = (evaluated(model, sequences.ids)[:, 0] - values).square().numpy()
    mine = (frame.sex == "F").to_numpy()
    mean = errors[mine].mean(dtype=np.float64)
    assert audit.finding("mean_loss", sex="F").value == pytest.approx(mean, rel=1e-5)
    assert audit.finding("mean_squared_error", stage="training", sex="F").value == pytest.approx(
        mean, rel=1e-5
    )


def test_a_yes_no_target_learnt_as_a_value_is_cut_at_one_half(
    sequences: Sequences, tmp_path: Path
) -> None:
    model = classifier(1)
    audit = audited(sequences)
    report = trained(audit, tmp_path, model, Items(sequences.ids, sequences.labels.float()))
    assert report["fault"] is None
    selected = (evaluated(model, sequences.ids)[:, 0] >= 0.5).numpy()
    mine = (sequences.frame.sex == "F").to_numpy()
    rate = audit.finding("selection_rate", stage="training", sex="F")
    assert rate.value == pytest.approx(selected[mine].mean())


def test_a_collation_for_language_modelling_pads_and_its_padding_counts_for_nobody(
    sequences: Sequences, tmp_path: Path
) -> None:
    lengths = np.random.default_rng(4).integers(3, 9, len(sequences.frame))

    class Texts(Dataset[Any]):
        def __len__(self) -> int:
            return len(lengths)

        def __getitem__(self, position: int) -> Mapping[str, Any]:
            return {"input_ids": sequences.ids[position, : lengths[position]]}

    def collate(items: Any) -> dict[str, torch.Tensor]:
        ids = torch.nn.utils.rnn.pad_sequence([i["input_ids"] for i in items], batch_first=True)
        return {"input_ids": ids, "labels": torch.where(ids == 0, -100, ids),
                "attention_mask": (ids > 0).long()}  # fmt: skip

    model = language_model()
    audit = audited(sequences)
    report = trained(audit, tmp_path, model, Texts(), trainer={"data_collator": collate},
                     dataloader_num_workers=1)  # fmt: skip
    assert report["fault"] is None
    sums: dict[str, list[float]] = {"F": [], "M": []}
    for row, length in enumerate(lengths):
        ids = sequences.ids[row : row + 1, :length]
        losses = torch.nn.functional.cross_entropy(
            evaluated(model, ids)[0, :-1], ids[0, 1:], reduction="none"
        )
        sums[sequences.frame.sex[row]] += losses.tolist()
    for sex, losses in sums.items():
        assert audit.finding("mean_loss", sex=sex).value == pytest.approx(np.mean(losses), rel=1e-5)


def test_items_that_were_packed_of_several_rows_belong_to_nobody(
    sequences: Sequences, tmp_path: Path
) -> None:
    packed = sequences.ids.reshape(60, 16)
    audit = audited(sequences)
    report = trained(
        audit, tmp_path, language_model(), Items(packed, packed), callback={"packed": True},
        held_out=sequences.language(),
    )  # fmt: skip
    assert report["fault"] is None
    everybody = [f for f in audit.findings if f.metric == "mean_loss" and f.status == "measured"]
    groups = {f.slice.get("sex", "all") for f in everybody if f.reference is None}
    assert groups == {"all", None}
    assert audit.finding("evaluation_loss", stage="training", sex="F").status == "measured"


def test_without_padding_several_records_lie_in_one_row_and_are_not_told_apart(
    sequences: Sequences, tmp_path: Path
) -> None:
    def flatten(items: Any) -> dict[str, torch.Tensor]:
        ids = torch.cat([item["input_ids"] for item in items])[None]
        places = torch.cat([torch.arange(len(item["input_ids"])) for item in items])[None]
        return {"input_ids": ids, "labels": ids.clone(), "position_ids": places}

    def config() -> Any:
        model = language_model()
        model.config.max_position_embeddings = 128
        return model

    audit = audited(sequences)
    given = {"data_collator": flatten}
    make_trainer(
        config(), tmp_path, sequences.language(), audit, max_steps=5, trainer=given
    ).train()
    report = audit._training.report()
    assert report["unmatched_batches"] == 5
    assert report["fault"] is None
    audit._training.observer.drain()
    steps = audit._training.observer.log.take()
    assert [len(step.rows) for step in steps] == [8] * 5
    audit.close()
    assert not [f for f in audit.findings if f.metric == "mean_loss" and f.status == "measured"]


@pytest.mark.slow
def test_a_compiled_model_gives_the_findings_of_one_that_is_not(
    sequences: Sequences, tmp_path: Path
) -> None:
    found = []
    for options in ({}, {"torch_compile": True, "torch_compile_backend": "aot_eager"}):
        model = classifier()
        audit = audited(sequences)
        report = trained(audit, tmp_path, model, sequences.items(), **options)
        assert report["fault"] is None
        assert report["steps"] == 15
        found.append(audit.finding("mean_loss", sex="F").value)
    assert found[0] == pytest.approx(found[1], rel=1e-4)


@pytest.mark.slow
def test_two_hundred_steps_give_the_same_bits(sequences: Sequences, tmp_path: Path) -> None:
    torch.use_deterministic_algorithms(True)
    try:
        digests = []
        for audit in (None, audited(sequences)):
            model = classifier()
            make_trainer(
                model, tmp_path, sequences.items(), audit, max_steps=200, bf16=True,
                gradient_accumulation_steps=2, eval_strategy="steps", eval_steps=50,
                trainer={"eval_dataset": sequences.items()},
            ).train()  # fmt: skip
            digests.append(digest(model))
    finally:
        torch.use_deterministic_algorithms(False)
    assert digests[0] == digests[1]
