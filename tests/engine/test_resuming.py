"""kill -9 at any point of a training, and the same script again: one record, as if uninterrupted."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import auditor
from auditor import Audit, InputError
from auditor.errors import RunError
from auditor.ledger import RunRecord
from auditor.ledger.proofs import format_proof, make_proof
from auditor.ledger.record_key import RecordKey
from auditor.verify import verify_run
from auditor.verify.proof import check_proof, verify_proof
from auditor.verify.standalone.command import main as standalone

SCRIPT = """
import json, os, sys
from pathlib import Path
import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, TensorDataset
import auditor

folder, resume, with_ids = Path(sys.argv[1]), sys.argv[2] == "resume", sys.argv[3] == "ids"
torch.set_num_threads(1)
rng = np.random.default_rng(7)
ROWS, EPOCHS, EVERY = 96, 3, 7
sex = rng.choice(["F", "M"], ROWS)
x = rng.normal(size=(ROWS, 4)).astype("float32")
y = (x[:, 0] + rng.normal(size=ROWS) > 0.3).astype(int)
frame = pd.DataFrame({"id": [f"p{i}" for i in range(ROWS)], "sex": sex, "x": x[:, 0], "y": y})
if not with_ids:
    frame = frame.drop(columns="id")
X, Y = torch.from_numpy(x), torch.tensor(y, dtype=torch.float32)[:, None]


class Batches:
    '''The batches of an epoch, from one on: what a resumable sampler gives.'''

    def __init__(self, epoch, start):
        order = np.random.default_rng([5, epoch]).permutation(ROWS).tolist()
        self.batches = [order[at : at + 8] for at in range(0, ROWS, 8)][start:]

    def __iter__(self):
        return iter(self.batches)

    def __len__(self):
        return len(self.batches)


audit = auditor.Audit(run=folder / "run", seed=3, budget=1e9, resume=resume,
                      record_key=folder / "key")
audit.data(train=frame, validation=frame, test=frame, target="y", sensitive=["sex"],
           record_id="id" if with_ids else None)
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
criterion = torch.nn.BCEWithLogitsLoss()
dataset = TensorDataset(X, Y)
plan = [[order for order in Batches(epoch, 0)] for epoch in range(EPOCHS)]
saved = folder / "checkpoint.pt"
step = 0


class All:
    def __init__(self, start):
        self.batches = [batch for epoch in plan for batch in epoch][start:]

    __iter__, __len__ = Batches.__iter__, Batches.__len__


if resume and saved.exists():
    checkpoint = torch.load(saved)
    step = checkpoint["step"]
model, optimizer, loader = audit.attach(
    model, optimizer, DataLoader(dataset, batch_sampler=All(step)), criterion
)
batches = iter(loader)  # draws a seed, which is before every state that is restored
if resume and saved.exists():
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    torch.set_rng_state(checkpoint["rng"])
    audit.load_state_dict(checkpoint["audit"])


def say(text):
    os.write(1, (text + "\\n").encode())


say("begun")
for inputs, targets in batches:
    loss = criterion(model(inputs), targets)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    step += 1
    say(f"step {step}")
    if step % 12 == 0:
        audit.validate(model, DataLoader(dataset, batch_size=32))
        say("looked")
    if step % EVERY == 0:
        state = {"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict(),
                 "rng": torch.get_rng_state(), "audit": audit.state_dict()}
        torch.save(state, folder / "new.pt")
        os.replace(folder / "new.pt", saved)
        say("saved")
audit.evaluate(model, DataLoader(dataset, batch_size=32))
say("evaluated")
audit.close()
say("sealed")
"""
SAID = 1 + 36 + 3 + 5 + 1
"""The lines that the script prints before it is sealed."""


def start(folder: Path, *, resume: bool, ids: bool) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), "resume" if resume else "new",
         "ids" if ids else "content"],
        env=os.environ | {"PYTHONPATH": str(Path(auditor.__file__).parent.parent),
                          "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def run_to_the_end(folder: Path, *, resume: bool = False, ids: bool = True) -> list[str]:
    process = start(folder, resume=resume, ids=ids)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err.decode()[-2000:]
    return out.decode().splitlines()


def kill_after(folder: Path, lines: int, *, pause: float, resume: bool, ids: bool = True) -> str:
    """Kill the script once it has printed so many lines, and a little later."""
    process = start(folder, resume=resume, ids=ids)
    assert process.stdout is not None
    assert process.stderr is not None
    said = ""
    for _ in range(lines):
        line = process.stdout.readline()
        if not line:
            break
        said = line.decode().strip()
    time.sleep(pause)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode in (-signal.SIGKILL, 0)
    return said


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], Path]:
    """The run that nobody interrupted, with ids or without."""
    made: dict[bool, Path] = {}

    def get(ids: bool) -> Path:
        if ids not in made:
            made[ids] = tmp_path_factory.mktemp("whole")
            run_to_the_end(made[ids], ids=ids)
        return made[ids]

    return get


def findings_of(folder: Path) -> list[Any]:
    return json.loads((folder / "run" / "findings.json").read_text())["findings"]


def steps_of(folder: Path, record: str) -> tuple[int, ...] | None:
    proof = make_proof(folder / "run", record, key=RecordKey.load(folder / "key"))
    checked = check_proof(proof)
    assert checked.faults == ()
    file = folder / "proof.json"
    file.write_bytes(format_proof(proof))
    assert verify_proof(file).exit_code == standalone([str(file)]) == 3
    file.unlink()
    return checked.steps


def trial(folder: Path, whole: Path, draw: random.Random) -> int:
    """Kill the script once or twice, let it end, and compare; return the steps superseded."""
    shutil.copy(whole / "key", folder / "key")  # the same ids are then the same commitments
    for round in range(draw.choice([1, 1, 2])):
        kill_after(
            folder, draw.randrange(SAID + 1), pause=draw.choice([0, 0.001, 0.02]), resume=round > 0
        )
        record = folder / "run" / "ledger.jsonl"
        if record.exists() and b'"type":"seal"' in record.read_bytes()[-200_000:]:
            break  # it came to its end before it was killed
    else:
        run_to_the_end(folder, resume=True)
    assert findings_of(folder) == findings_of(whole)
    result = verify_run(folder / "run")
    assert (result.faults, result.exit_code) == ((), 3)
    assert standalone([str(folder / "run")]) == 3
    for record_id in ("p0", "p41", "p95"):
        assert steps_of(folder, record_id) == steps_of(whole, record_id)
    resumed = RunRecord.load(folder / "run").ledger.of_type("resumed")
    return len(resumed)


def test_a_run_killed_three_times_is_as_if_uninterrupted(
    tmp_path: Path, whole: Callable[[bool], Path]
) -> None:
    draw = random.Random(1)
    resumed = 0
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        resumed += trial(tmp_path / str(number), whole(True), draw)
    assert resumed > 0


@pytest.mark.slow
def test_twenty_killed_runs_are_as_if_uninterrupted(
    tmp_path: Path, whole: Callable[[bool], Path]
) -> None:
    draw = random.Random(2)
    resumed = 0
    for number in range(20):
        (tmp_path / str(number)).mkdir()
        resumed += trial(tmp_path / str(number), whole(True), draw)
    assert resumed > 10
