"""Looks that close the gate of a Trainer, and what its checkpoints hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditor import Audit
from auditor.engine.state_files import STATE_FILE, load_state

from .conftest import DATA, Sequences, audited, classifier, make_trainer

pytest.importorskip("transformers")
pytest.importorskip("accelerate")


def policy(folder: Path, *, on_fail: str, accept: str = "<= -1") -> Path:
    """A rule that no model can keep, or one that every model keeps."""
    path = folder / "policy.yaml"
    path.write_text(
        "schema: auditor/policy/v1\nid: gate\nversion: 1.0.0\ntitle: t\nas_of: 2026-11-01\n"
        "defaults: {min_denominator: 1}\n"
        "rules:\n  - {id: loss, title: t, metric: mean_loss, over: [sex], stage: training,\n"
        f"     accept: '{accept}', on_fail: {on_fail}}}\n"
    )
    return path


def audit_with(world: Sequences, folder: Path, **rule: str) -> Audit:
    audit = Audit(policy(folder, **rule), budget=1e9)
    audit.data(train=world.frame, validation=world.frame, **DATA)
    return audit


EVERY = {"eval_strategy": "steps", "eval_steps": 3, "save_strategy": "steps", "save_steps": 3,
         "max_steps": 9}  # fmt: skip
BEST: dict[str, Any] = {"save_strategy": "best", "metric_for_best_model": "eval_loss"}


def trained(world: Sequences, folder: Path, audit: Audit, **options: Any) -> Any:
    given = {"eval_dataset": world.items()}
    trainer = make_trainer(classifier(), folder, world.items(), audit, trainer=given,
                           **EVERY | options)  # fmt: skip
    trainer.train()
    return trainer


def callback_of(trainer: Any) -> Any:
    (found,) = [
        c for c in trainer.callback_handler.callbacks if type(c).__name__ == "AuditCallback"
    ]
    return found


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("checkpoint-*"))


@pytest.mark.parametrize("strategy", ["steps", "best"])
def test_a_blocked_model_is_not_saved_and_never_the_best(
    sequences: Sequences, tmp_path: Path, strategy: str
) -> None:
    out = tmp_path / "out"
    audit = audit_with(sequences, tmp_path, on_fail="block")
    trainer = trained(sequences, out, audit, **BEST if strategy == "best" else {})
    assert trainer.state.global_step == 9
    assert checkpoints(out) == []
    assert callback_of(trainer).blocked
    assert trainer.state.best_metric is None
    assert trainer.state.best_global_step is None
    audit.close()


def test_an_open_gate_saves_as_ever_and_the_best_is_the_trainers_own(
    sequences: Sequences, tmp_path: Path
) -> None:
    found = []
    for name in ("plain", "audited"):
        out = tmp_path / name
        audit = audit_with(sequences, tmp_path, on_fail="block", accept="<= 100")
        given = {"eval_dataset": sequences.items()}
        trainer = make_trainer(
            classifier(), out, sequences.items(), audit if name == "audited" else None,
            trainer=given, **EVERY | BEST,
        )  # fmt: skip
        trainer.train()
        found.append((trainer.state.best_metric, trainer.state.best_global_step, checkpoints(out)))
        audit.close()
    assert found[0] == found[1]
    assert found[0][2]


def test_stop_ends_the_training_with_its_reason(
    sequences: Sequences, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    audit = audit_with(sequences, tmp_path, on_fail="stop")
    trainer = trained(sequences, tmp_path / "out", audit)
    assert trainer.state.global_step == 3
    assert checkpoints(tmp_path / "out") == []
    stopped = callback_of(trainer).stopped
    assert "stops the training at look 1" in str(stopped)
    assert str(stopped) in caplog.text
    audit.close()


def test_a_resumed_training_gives_the_findings_of_one_that_was_not_interrupted(
    sequences: Sequences, tmp_path: Path
) -> None:
    def measured(audit: Audit) -> dict[Any, Any]:
        return {
            (f.check, f.metric, str(f.slice), str(f.reference)): (f.value, f.n)
            for f in audit.findings
            if f.stage == "training" and f.status == "measured" and f.check.startswith("bias.")
        }

    options: dict[str, Any] = {"save_steps": 5, "eval_steps": 8, "max_steps": 24}
    whole = audited(sequences)
    trained(sequences, tmp_path / "whole", whole, **options)
    whole.close()
    out = tmp_path / "parts"
    for last in (10, 24):  # interrupted in the middle of an epoch of 15 steps
        audit = audited(sequences)
        given = {"eval_dataset": sequences.items()}
        trainer = make_trainer(classifier(), out, sequences.items(), audit, trainer=given,
                               **EVERY | options)  # fmt: skip
        if last == 10:
            from transformers import TrainerCallback

            class Interrupt(TrainerCallback):
                def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                    control.should_training_stop = state.global_step == 10

            trainer.add_callback(Interrupt())
        trainer.train(resume_from_checkpoint=None if last == 10 else str(out / "checkpoint-10"))
        audit.close()
    state = load_state(out / "checkpoint-10" / STATE_FILE)
    assert state["looks"] == 1
    assert audit._looks == whole._looks == 3
    assert measured(audit).keys() == measured(whole).keys()
    for key, (value, n) in measured(whole).items():
        assert measured(audit)[key][1] == n, key
        assert measured(audit)[key][0] == pytest.approx(value, rel=1e-6, abs=1e-6), key
    assert np.isfinite(value)


def test_a_checkpoint_goes_to_the_audit_where_it_takes_checkpoints(
    sequences: Sequences, tmp_path: Path
) -> None:
    if not hasattr(Audit, "checkpoint"):
        pytest.skip("audit.checkpoint is not there yet")
    audit = audited(sequences)
    trained(sequences, tmp_path / "out", audit)
    assert len(checkpoints(tmp_path / "out")) == 3
    lines = (audit.run / "ledger.jsonl").read_text().splitlines()
    assert sum('"checkpoint' in line for line in lines) >= 3
    audit.close()
