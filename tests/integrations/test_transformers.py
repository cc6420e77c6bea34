"""The Trainer audited: nothing changes, and every record is who it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from auditor import InputError

from .conftest import (
    Sequences,
    audited,
    classifier,
    digest,
    language_model,
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
        losses = torch.nn.functional.cross_entropy(
            logits, sequences.labels, reduction="none"
        ).numpy()
        for sex in ("F", "M"):
            mine = (sequences.frame.sex == sex).to_numpy()
            loss = audit.finding("mean_loss", sex=sex)
            assert loss.n == mine.sum()
            assert loss.value == pytest.approx(losses[mine].mean(dtype=np.float64), rel=1e-5)
            rate = audit.finding("selection_rate", stage="training", sex=sex)
            assert rate.value == pytest.approx(logits.argmax(1).numpy()[mine].mean())
            assert rate.n == mine.sum()
    assert np.isfinite(losses).all()


EVERY = {"eval_strategy": "steps", "eval_steps": 5, "max_steps": 10}


def run(world: Sequences, folder: Path, model: Any, *, items: Any = None, **options: Any) -> Any:
    """Train under audit with a look every five steps; return the audit, closed, and the trainer."""
    audit = options.pop("audit", None) or audited(world)
    items = world.items() if items is None else items
    given = {"eval_dataset": items, **options.pop("trainer", {})}
    trainer = make_trainer(model, folder, items, audit, trainer=given, **EVERY | options)
    trainer.train()
    audit.close()
    return audit, trainer


def sound(audit: Any, steps: int = 10) -> bool:
    report = audit._training.report()
    wrong = ("unmatched_batches", "repeated_losses", "differing_labels")
    return (
        report["fault"] is None and not any(report[w] for w in wrong) and report["steps"] == steps
    )


def test_items_are_known_by_the_id_that_they_carry(sequences: Sequences, tmp_path: Path) -> None:
    order = np.random.default_rng(2).permutation(len(sequences.frame))
    keys = sequences.frame.id.to_numpy()[order]
    shuffled = Sequences(sequences.frame, sequences.ids[order], sequences.labels[order])
    items = shuffled.items(keys=keys)
    audit, _ = run(sequences, tmp_path, classifier(), items=items)
    assert sound(audit)
    assert (
        audit.finding("selection_rate", stage="training", sex="F").n
        == (sequences.frame.sex == "F").sum()
    )


def test_a_dataset_of_another_length_is_refused_and_nothing_stays_attached(
    sequences: Sequences, tmp_path: Path
) -> None:
    model, audit = classifier(), audited(sequences)
    items = Sequences(sequences.frame, sequences.ids[:50], sequences.labels[:50]).items()
    trainer = make_trainer(model, tmp_path, items, audit)
    with pytest.raises(InputError, match="50 items and the table of train= has 120 rows"):
        trainer.train()
    assert not model._forward_hooks
    assert not model._forward_pre_hooks


def test_detached_the_model_is_as_it_was(sequences: Sequences, tmp_path: Path) -> None:
    models = [classifier(), classifier()]
    run(sequences, tmp_path, models[0])
    make_trainer(models[1], tmp_path, sequences.items(), max_steps=1).train()
    assert models[0].__dict__.keys() == models[1].__dict__.keys()
    hooks = [name for name in models[0].__dict__ if "hooks" in name]
    assert hooks
    assert all(not models[0].__dict__[name] for name in hooks)


def test_the_loss_of_a_step_is_the_one_that_the_trainer_logs(
    sequences: Sequences, tmp_path: Path
) -> None:
    """120 records in batches of 8, four at a time: the last step of the epoch has three."""
    audit = audited(sequences)
    steps: list[Any] = []
    trainer = make_trainer(
        language_model(), tmp_path, sequences.language(), audit, max_steps=8,
        gradient_accumulation_steps=4, logging_strategy="steps", logging_steps=1,
    )  # fmt: skip
    trainer.train()
    audit._training.observer.drain()
    steps = audit._training.observer.log.take()
    logged = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert [step.loss for step in steps] == pytest.approx(logged, rel=1e-5)
    assert [len(step.rows) for step in steps[:4]] == [32, 32, 32, 24]
    assert sorted(np.concatenate([s.rows for s in steps[:4]])) == list(range(120))
    audit.close()


def test_a_language_models_losses_are_those_of_its_tokens(
    sequences: Sequences, tmp_path: Path
) -> None:
    model = language_model()
    audit, _ = run(
        sequences, tmp_path, model, items=sequences.language(), max_steps=15, eval_steps=15,
        learning_rate=0.0, gradient_accumulation_steps=1,
    )  # fmt: skip
    with torch.no_grad():
        logits = model(input_ids=sequences.ids).logits
    losses = torch.nn.functional.cross_entropy(
        logits[:, :-1].transpose(1, 2), sequences.ids[:, 1:], reduction="none"
    ).numpy()
    for sex in ("F", "M"):
        mine = (sequences.frame.sex == sex).to_numpy()
        trained = audit.finding("mean_loss", sex=sex)
        assert trained.value == pytest.approx(losses[mine].mean(dtype=np.float64), rel=1e-5)
        held_out = audit.finding("evaluation_loss", stage="training", sex=sex)
        assert held_out.value == pytest.approx(trained.value, rel=1e-5)
    assert sound(audit, steps=15)


@pytest.mark.parametrize("reentrant", [True, False])
def test_activation_checkpointing_counts_every_batch_once(
    sequences: Sequences, tmp_path: Path, reentrant: bool
) -> None:
    from transformers import TrainingArguments

    fields = TrainingArguments.__dataclass_fields__
    name = "activation" if "activation_checkpointing" in fields else "gradient"
    audit, _ = run(
        sequences, tmp_path, classifier(),
        **{f"{name}_checkpointing": True,
           f"{name}_checkpointing_kwargs": {"use_reentrant": reentrant}},
    )  # fmt: skip
    assert sound(audit)


@pytest.mark.parametrize("case", ["smoothing", "function", "bf16"])
def test_labels_that_the_trainer_takes_away_are_seen_all_the_same(
    sequences: Sequences, tmp_path: Path, case: str
) -> None:
    def loss(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(outputs.logits, labels)

    options: dict[str, Any] = {
        "smoothing": {"label_smoothing_factor": 0.1},
        "function": {"trainer": {"compute_loss_func": loss}},
        "bf16": {"bf16": True},
    }[case]
    audit, _ = run(sequences, tmp_path, classifier(), **options)
    assert sound(audit)
    assert audit.finding("mean_loss", sex="F").value > 0
    assert audit.finding("selection_rate", stage="training", sex="F").n > 0


def test_a_language_models_smoothed_labels_are_those_of_the_next_token(
    sequences: Sequences, tmp_path: Path
) -> None:
    found = []
    for smoothing in (0.0, 0.1):
        audit, _ = run(
            sequences, tmp_path, language_model(), items=sequences.language(), max_steps=5,
            learning_rate=0.0, label_smoothing_factor=smoothing,
        )  # fmt: skip
        assert sound(audit, steps=5)
        found.append(audit.finding("mean_loss", sex="F").value)
    assert found[0] == pytest.approx(found[1], rel=1e-6)
