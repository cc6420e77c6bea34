"""kill -9 at any point of a training, the same script again, and one record of both."""

from __future__ import annotations

import contextlib
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
from auditor.cli import main
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
    """Return the findings, but for those of the time and the energy that it took."""
    found = json.loads((folder / "run" / "findings.json").read_text())["findings"]
    return [finding for finding in found if finding["check"] != "provenance.compute"]


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


# What the kills at random points reach by chance alone, made by hand.

FRAME = pd.DataFrame({"id": [f"p{i}" for i in range(12)], "sex": ["F", "M"] * 6,
                      "y": [0, 1, 1, 0] * 3})  # fmt: skip
ROLES: dict[str, Any] = {"target": "y", "sensitive": ["sex"], "record_id": "id"}


def attach(audit: Audit) -> Callable[[list[int]], None]:
    """Attach a loop that takes a step over the rows that it is given."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(0)
    x = torch.arange(12, dtype=torch.float32)[:, None] / 12
    y = torch.tensor(FRAME.y.to_numpy(), dtype=torch.float32)[:, None]
    model: Any = torch.nn.Linear(1, 1)
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=1e-3)
    criterion = torch.nn.BCEWithLogitsLoss()
    order: list[list[int]] = []
    given: Any = DataLoader(TensorDataset(x, y), batch_sampler=order)
    model, optimizer, loader = audit.attach(model, optimizer, given, criterion)

    def step(rows: list[int]) -> None:
        order[:] = [rows]
        for inputs, targets in loader:
            criterion(model(inputs), targets).backward()
            optimizer.step()
            optimizer.zero_grad()

    return step


def begin(run: Path, *, ids: bool = True, **options: Any) -> Audit:
    audit = Audit(run=run, **{"checks": (), "seed": 3} | options)
    frame = FRAME if ids else FRAME.drop(columns="id")
    audit.data(train=frame, **{**ROLES, "record_id": "id" if ids else None})
    return audit


def abandon(audit: Audit) -> None:
    """Leave a run as a kill does: no seal, no word, the lock gone with the process."""
    audit.detach()
    audit._recording.ledger.close()


@pytest.fixture
def interrupted(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A run of five steps that was killed, and the state after the third."""
    run = tmp_path / "run"
    audit = begin(run)
    step = attach(audit)
    for rows in ([0, 1], [2, 3], [4, 5]):
        step(rows)
    state = audit.state_dict()
    for rows in ([6, 7], [0, 8]):
        step(rows)
    audit._flush()
    abandon(audit)
    return run, state


def shown(run: Path, record: str) -> tuple[tuple[int, ...] | None, tuple[int, ...]]:
    proof = make_proof(run, record, key=RecordKey.load(run.with_name("run.record-key")))
    checked = check_proof(proof)
    assert checked.faults == ()
    file = run.with_name("proof.json")
    file.write_bytes(format_proof(proof))
    assert verify_proof(file).exit_code == standalone([str(file)]) == 3
    return checked.steps, checked.superseded


def test_steps_after_the_state_are_superseded_and_a_proof_says_so(
    interrupted: tuple[Path, dict[str, Any]],
) -> None:
    run, state = interrupted
    state = json.loads(json.dumps(state, default=lambda tensor: tensor.tolist()))
    state["training"] = None
    with begin(run, resume=True) as audit:
        step = attach(audit)
        audit.load_state_dict(state)
        step([0, 9])
        step([10, 11])
    assert verify_run(run).faults == ()
    assert standalone([str(run)]) == 3
    entries = RunRecord.load(run).ledger.of_type("resumed", "steps")
    assert [(e.type, e.body.get("first"), e.body.get("step")) for e in entries] == [
        ("steps", 1, None), ("steps", 4, None), ("resumed", None, 3), ("steps", 4, None),
    ]  # fmt: skip
    assert entries[-1].body["chain_before"] == entries[0].body["chain"]
    assert entries[-1].body["file"] == "evidence/steps-train-000000004-2.bin"
    assert shown(run, "p0") == ((1, 4), (5,))
    assert shown(run, "p6") == ((), (4,))
    assert shown(run, "p9") == ((4,), ())
    assert shown(run, "p3") == ((2,), ())
    said = " ".join(check_proof(
        make_proof(run, "p6", key=RecordKey.load(run.with_name("run.record-key")))
    ).sentences())  # fmt: skip
    assert "in 1 steps that were superseded when the training was resumed" in said


def test_without_a_state_the_training_is_recorded_again_from_its_first_step(
    interrupted: tuple[Path, dict[str, Any]],
) -> None:
    run, _ = interrupted
    with begin(run, resume=True) as audit:
        attach(audit)([7, 8])
    assert verify_run(run).faults == ()
    (resumed,) = RunRecord.load(run).ledger.of_type("resumed")
    attached = RunRecord.load(run).ledger.of_type("attach")
    assert resumed.body == {"step": 0, "look": 0, "entries": attached[0].seq}
    assert len(attached) == 1
    assert shown(run, "p7") == ((1,), (4,))
    assert shown(run, "p0") == ((), (1, 5))


def test_a_state_of_steps_that_were_superseded_brings_them_back(
    interrupted: tuple[Path, dict[str, Any]],
) -> None:
    run, state = interrupted
    audit = begin(run, resume=True)
    step = attach(audit)
    step([11, 11])  # from the first step again, which nobody wanted
    audit._flush()
    abandon(audit)
    with begin(run, resume=True) as audit:
        step = attach(audit)
        audit.load_state_dict(state)
        step([9])
    assert verify_run(run).faults == ()
    assert standalone([str(run)]) == 3
    assert shown(run, "p4") == ((3,), ())
    assert shown(run, "p11") == ((), (1,))
    assert shown(run, "p9") == ((4,), ())


def test_steps_in_the_state_that_no_entry_holds_are_written_after_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    audit = begin(run)
    step = attach(audit)
    step([0, 1])
    kept = audit.state_dict()
    step([2, 3])
    assert audit._records is not None
    audit._training.meet(audit._ranks)  # type: ignore[union-attr]
    for ended in audit._training.steps():  # type: ignore[union-attr]
        audit._recorder.record(ended.rows, loss=ended.loss)  # type: ignore[union-attr]
    state = kept | {"steps": audit._records.state_dict()}
    abandon(audit)
    with begin(run, resume=True) as audit:
        step = attach(audit)
        audit.load_state_dict(state)
        step([4, 5])
    assert verify_run(run).faults == ()
    assert [shown(run, f"p{row}")[0] for row in (0, 2, 4)] == [(1,), (2,), (3,)]


@pytest.mark.parametrize(
    ("what", "options"),
    [
        ("seed", {"seed": 4}),
        ("policy", {"policy": "four-fifths-screen"}),
        ("signer", {"key": "made"}),
    ],
)
def test_another_audit_than_was_begun_is_refused(
    interrupted: tuple[Path, dict[str, Any]], tmp_path: Path, what: str, options: dict[str, Any]
) -> None:
    from auditor.ledger import SigningKey

    if options.get("key"):
        SigningKey.generate(tmp_path / "me.key")
        options = {"key": tmp_path / "me.key"}
    with pytest.raises(InputError, match=f"cannot be resumed with another {what}"):
        begin(interrupted[0], resume=True, **options)
    begin(interrupted[0], resume=True).close()
    assert verify_run(interrupted[0]).faults == ()


def test_other_data_and_another_record_key_are_refused(
    interrupted: tuple[Path, dict[str, Any]],
) -> None:
    run, _ = interrupted
    audit = Audit(run=run, seed=3, resume=True)
    with pytest.raises(InputError, match="another data of train= than it was begun with"):
        audit.data(train=FRAME.assign(y=1 - FRAME.y), **ROLES)
    abandon(audit)
    key = run.with_name("run.record-key")
    data = key.read_bytes()
    key.unlink()
    audit = Audit(run=run, seed=3, resume=True)
    with pytest.raises(InputError, match="another record key than it was begun with"):
        audit.data(train=FRAME, **ROLES)
    abandon(audit)
    assert not key.exists()
    key.write_bytes(data)
    begin(run, resume=True).close()


def test_a_state_of_another_run_is_refused(
    interrupted: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    run, state = interrupted
    other = tmp_path / "other"
    audit = begin(other, record_key=tmp_path / "key")
    attach(audit)([1, 2])
    abandon(audit)
    audit = begin(other, record_key=tmp_path / "key", resume=True)
    attach(audit)
    with pytest.raises(InputError, match="the state was not taken from this run"):
        audit.load_state_dict(state)
    audit.close()
    assert verify_run(other).faults == ()
    assert run.exists()


def test_resuming_begins_a_run_that_is_not_there_and_refuses_one_that_is_finished(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    with begin(run, resume=True) as audit:
        attach(audit)([1])
        assert audit.state_dict()["record"]["entries"] > 0
    assert RunRecord.load(run).ledger.of_type("resumed") == ()
    with pytest.raises(RunError, match="a finished run"):
        Audit(run=run, resume=True)
    with pytest.raises(InputError, match="without a run folder"):
        Audit(resume=True)
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "file").write_text("mine")
    with pytest.raises(InputError, match="not a run"):
        Audit(run=tmp_path / "else", resume=True)


def test_a_run_that_somebody_writes_is_not_resumed(tmp_path: Path) -> None:
    with begin(tmp_path / "run"), pytest.raises(RunError, match="is being written"):
        Audit(run=tmp_path / "run", seed=3, resume=True)


def test_what_an_interruption_left_half_written_is_taken_away(
    interrupted: tuple[Path, dict[str, Any]],
) -> None:
    run, _ = interrupted
    with (run / "ledger.jsonl").open("ab") as file:
        file.write(b'{"body":{"half')
    (run / "evidence" / ".x.json.0123abcd.tmp").write_bytes(b"{")
    (run / "evidence" / "steps-train-000000006.bin").write_bytes(b"never bound")
    begin(run, resume=True).close()
    assert verify_run(run).faults == ()
    assert not list(run.rglob("*.tmp"))


def test_a_seal_without_its_head_is_finished_and_then_refused(
    interrupted: tuple[Path, dict[str, Any]],
) -> None:
    run, _ = interrupted
    begin(run, resume=True).close()
    head = (run / "head").read_bytes()
    (run / "head").unlink()
    with pytest.raises(RunError, match="a finished run"):
        Audit(run=run, seed=3, resume=True)
    assert (run / "head").read_bytes() == head
    assert verify_run(run).faults == ()


@pytest.mark.parametrize(
    "body",
    [
        {"step": 3, "look": 0, "entries": 99}, {"step": 3, "look": 0, "entries": 0},
        {"step": -1, "look": 0, "entries": 2}, {"step": True, "look": 0, "entries": 2},
        {"step": 3, "look": 0}, {"step": 3, "look": 0, "entries": 2, "more": 1},
    ],
)  # fmt: skip
def test_a_resumption_that_does_not_say_from_where_is_a_fault_for_both(
    interrupted: tuple[Path, dict[str, Any]], body: dict[str, Any]
) -> None:
    run, _ = interrupted
    audit = begin(run, resume=True)
    audit._recording.ledger.append("resumed", body)
    audit.close()
    assert "from which step" in str(verify_run(run).faults)
    assert standalone([str(run)]) == 1


def test_a_resumption_from_fewer_steps_than_the_state_had_is_a_fault_for_both(
    interrupted: tuple[Path, dict[str, Any]],
) -> None:
    run, state = interrupted
    audit = begin(run, resume=True)
    entries = state["record"]["entries"]
    audit._recording.ledger.append("resumed", {"step": 2, "look": 0, "entries": entries})
    audit.close()
    assert "step 2, but there were more" in str(verify_run(run).faults)
    assert standalone([str(run)]) == 1


def test_records_without_ids_are_committed_to_by_content_when_a_loop_is_attached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from auditor.datasets import open_table
    from auditor.engine.record_commitments import content_ids

    run = tmp_path / "run"
    audit = begin(run, ids=False)
    assert audit.record_key is None
    step = attach(audit)
    assert audit.record_key == tmp_path / "run.record-key"
    step([0, 5])
    state = audit.state_dict()
    step([1])
    abandon(audit)
    with begin(run, ids=False, resume=True) as audit:
        step = attach(audit)
        audit.load_state_dict(state)
        step([4])
    assert verify_run(run).faults == ()
    assert standalone([str(run)]) == 3
    (records,) = RunRecord.load(run).ledger.of_type("records")
    assert (records.body["split"], records.body["identified_by"]) == ("train", "content")
    ids = content_ids(open_table(FRAME.drop(columns="id")))
    assert len(set(ids)) == 12
    assert ids[4] == f"{ids[0]}#2"  # rows 0 and 4 are equal
    assert ids[8] == f"{ids[0]}#3"
    assert [shown(run, ids[row])[0] for row in (0, 4, 5, 1)] == [(1,), (2,), (1,), ()]
    proof = make_proof(run, "p0", key=RecordKey.load(tmp_path / "run.record-key"))
    assert not check_proof(proof).included
    FRAME.drop(columns="id").to_parquet(tmp_path / "rows.parquet")
    capsys.readouterr()
    table = str(tmp_path / "rows.parquet")
    monkeypatch.setattr(sys, "argv", ["auditor", "prove", str(run), "--rows", table])
    with contextlib.suppress(SystemExit):
        main()
    assert capsys.readouterr().out.split() == ids
