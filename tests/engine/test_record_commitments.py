"""Which records were there and which step used them: recorded in the loop, provable afterwards."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from auditor import Audit, InputError
from auditor.ledger.proofs import make_proof
from auditor.ledger.record_key import RecordKey
from auditor.verify import verify_run
from auditor.verify.proof import check_proof

ROWS = 20
FRAME = pd.DataFrame(
    {"id": [f"p{i}" for i in range(ROWS)], "sex": ["F", "M"] * 10, "y": [0, 1, 1, 0] * 5}
)
ROLES: dict[str, Any] = {"target": "y", "sensitive": ["sex"], "record_id": "id"}


def train(audit: Audit, *, accumulate: int = 1, epochs: int = 1) -> list[set[int]]:
    """Train a small model; return the rows that each step used, as the loop itself saw them."""
    torch.manual_seed(0)
    x = torch.arange(ROWS, dtype=torch.float32)[:, None]
    y = torch.tensor(FRAME.y.to_numpy(), dtype=torch.float32)[:, None]
    model: Any = torch.nn.Linear(1, 1)
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=1e-3)
    criterion = torch.nn.BCEWithLogitsLoss()
    loader: Any = DataLoader(TensorDataset(x, y), batch_size=4, shuffle=True)
    model, optimizer, loader = audit.attach(model, optimizer, loader, criterion)
    steps: list[set[int]] = []
    used: set[int] = set()
    for _ in range(epochs):
        for batch, (inputs, targets) in enumerate(loader, start=1):
            criterion(model(inputs), targets).backward()
            used |= {int(value) for value in inputs[:, 0]}
            if batch % accumulate == 0:
                optimizer.step()
                optimizer.zero_grad()
                steps.append(used)
                used = set()
    return steps


@pytest.mark.parametrize("accumulate", [1, 5])
def test_a_proof_names_the_steps_that_used_the_record(tmp_path: Path, accumulate: int) -> None:
    run = tmp_path / "run"
    with Audit(run=run) as audit:
        audit.data(train=FRAME, **ROLES)
        steps = train(audit, accumulate=accumulate, epochs=2)
        assert audit.record_key == tmp_path / "run.record-key"
    assert len(steps) == 10 // accumulate
    assert verify_run(run).exit_code == 3
    key = RecordKey.load(tmp_path / "run.record-key")
    for row in (0, 7, 19):
        checked = check_proof(make_proof(run, f"p{row}", key=key))
        assert (checked.included, checked.faults) == (True, ())
        used = tuple(number for number, rows in enumerate(steps, start=1) if row in rows)
        assert checked.steps == used
    absent = check_proof(make_proof(run, "p20", key=key))
    assert (absent.included, absent.faults) == (False, ())


def test_the_key_is_secret_and_outside_the_run(tmp_path: Path) -> None:
    with Audit(run=tmp_path / "run", record_key=tmp_path / "keys" / "mine") as audit:
        audit.data(train=FRAME, **ROLES)
    key = tmp_path / "keys" / "mine"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    secret = key.read_bytes().split()[1]
    for path in (tmp_path / "run").rglob("*"):
        assert path.is_dir() or (
            secret not in path.read_bytes() and b"p17" not in path.read_bytes()
        )
    audit = Audit(run=tmp_path / "other", record_key=tmp_path / "other" / "key")
    with pytest.raises(InputError, match="inside the run folder"):
        audit.data(train=FRAME, **ROLES)


def test_a_key_that_is_there_is_used_again(tmp_path: Path) -> None:
    roots = []
    for name in ("one", "two"):
        with Audit(run=tmp_path / name, record_key=tmp_path / "key") as audit:
            audit.data(train=FRAME, **ROLES)
        first = json.loads((tmp_path / name / "ledger.jsonl").read_text().splitlines()[0])
        roots.append(first["body"]["records_key_root"])
    assert roots[0] == roots[1]


def test_nothing_is_left_of_an_audit_that_was_discarded(tmp_path: Path) -> None:
    audit = Audit(run=tmp_path / "run")
    audit.data(train=FRAME, **ROLES)
    audit.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("attached", [False, True])
def test_without_a_folder_or_without_ids_and_a_loop_nothing_is_committed_to(
    tmp_path: Path, attached: bool
) -> None:
    run = None if attached else tmp_path / "run"
    with Audit(run=run) as audit:
        audit.data(train=FRAME, **{**ROLES, "record_id": "id" if attached else None})
        if attached:
            train(audit)
        assert audit.record_key is None
    assert [path.name for path in tmp_path.iterdir()] == ([] if attached else ["run"])


def test_ids_that_repeat_are_refused(tmp_path: Path) -> None:
    audit = Audit(run=tmp_path / "run")
    with pytest.raises(InputError, match="record ids repeat: 1 of 20"):
        audit.data(train=FRAME.assign(id=["p0", *FRAME.id[:-1]]), **ROLES)
    assert not (tmp_path / "run.record-key").exists()


def test_steps_are_recorded_at_every_look(tmp_path: Path) -> None:
    with Audit(run=tmp_path / "run") as audit:
        audit.data(train=FRAME, validation=FRAME, **ROLES)
        train(audit)
        x = torch.zeros(ROWS, 1)
        y = torch.tensor(FRAME.y.to_numpy(), dtype=torch.float32)[:, None]
        audit.validate(torch.nn.Linear(1, 1), DataLoader(TensorDataset(x, y), batch_size=4))
        lines = (tmp_path / "run" / "ledger.jsonl").read_text().splitlines()
        kinds = [json.loads(line)["type"] for line in lines]
        assert kinds.index("steps") < kinds.index("measurement", kinds.index("attach"))


def test_a_model_on_a_loader_has_its_clean_score(tmp_path: Path) -> None:
    """Four of the test records were trained on; the model is right about these alone."""
    test = FRAME.head(8).assign(id=[f"t{i}" for i in range(8)], sex=["F"] * 4 + ["X"] * 4)
    labels = torch.tensor(test.y.to_numpy(), dtype=torch.float32)[:, None]

    class Known(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.anything = torch.nn.Parameter(torch.zeros(1))

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            right = labels[rows[:, 0].long()]
            return torch.where(rows < 4, right - 0.5, 0.5 - right)

    train = pd.concat([FRAME.tail(12), test.head(4)])
    with Audit() as audit:
        audit.data(train=train, test=test, **ROLES)
        rows = torch.arange(8, dtype=torch.float32)[:, None]
        audit.evaluate(Known(), DataLoader(TensorDataset(rows, labels), batch_size=3))
        everybody = {f.metric: f for f in audit.findings if not f.slice and f.over is None}
        assert everybody["accuracy"].value == 0.5
        assert everybody["contaminated_accuracy"].value == 1
        assert (everybody["clean_accuracy"].value, everybody["clean_accuracy"].n) == (0, 4)
