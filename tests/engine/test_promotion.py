"""A checkpoint is used only where its gate was open; whoever dies in between opens none."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from torch.utils.data import DataLoader, TensorDataset

import auditor
from auditor import Audit, CheckpointError, GateClosed, InputError, load_checkpoint
from auditor.ledger import RunRecord, SigningKey, VerifyingKey
from auditor.verify import verify_run

POLICY = """
schema: auditor/policy/v1
id: loop
version: 1.0.0
title: A loop
rules:
  - {id: accurate, metric: accuracy, stage: training, accept: '>= %s', on_fail: %s, looks: %d}
"""


def frame_of(rows: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=rows)
    return pd.DataFrame({"x": x, "y": (x > 0).astype(int), "sex": rng.choice(["F", "M"], rows)})


class Sign(torch.nn.Module):
    """A model that is always right, or always wrong."""

    def __init__(self, sign: float = 1.0) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([[sign * 10.0]]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight.T


@pytest.fixture
def world() -> tuple[pd.DataFrame, DataLoader[Any]]:
    frame = frame_of()
    x = torch.tensor(frame.x.to_numpy(), dtype=torch.float32)[:, None]
    y = torch.tensor(frame.y.to_numpy(), dtype=torch.float32)[:, None]
    return frame, DataLoader(TensorDataset(x, y), batch_size=50)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    SigningKey.generate(tmp_path / "me.key")
    return tmp_path / "me.key"


@pytest.fixture
def audit(
    tmp_path: Path, world: tuple[pd.DataFrame, DataLoader[Any]], key: Path
) -> Iterator[Callable[..., Audit]]:
    """Make an audit that looked once at a model, which is right unless it is wanted otherwise."""
    made: list[Audit] = []

    def make(
        *, right: bool = True, on_fail: str = "block", looks: int = 3, signed: bool = True,
        accept: float = 0.9, look: bool = True,
    ) -> Audit:  # fmt: skip
        number = len(made)
        policy = tmp_path / f"policy-{number}.yaml"
        policy.write_text(POLICY % (accept, on_fail, looks))
        audit = Audit(policy, tmp_path / f"run-{number}", key=key if signed else None)
        made.append(audit)
        frame, loader = world
        audit.data(validation=frame, target="y", sensitive=["sex"])
        if look:
            try:
                audit.validate(Sign(1.0 if right else -1.0), loader)
            except GateClosed:
                assert on_fail == "stop"
        return audit

    yield make
    for each in made:
        each.close()


def save(path: Path) -> None:
    """Write a small model in safetensors."""
    save_file({"w": torch.arange(6.0)}, path)


def save_folder(path: Path, *, files: int = 20) -> None:
    """Write what a trainer writes: shards and their index, optimizer, random state, and others."""
    path.mkdir()
    shards = {f"model-{n}.safetensors": f"layer.{n}" for n in range(4)}
    for n, (name, weight) in enumerate(shards.items()):
        save_file({weight: torch.full((3,), float(n))}, path / name)
    index = {"weight_map": {weight: name for name, weight in shards.items()}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    torch.save({"exp_avg": torch.ones(3)}, path / "optimizer.pt")
    torch.save({"cpu": torch.get_rng_state()}, path / "rng_state.pth")
    (path / ".hidden").write_text("h")
    (path / "distributed").mkdir()
    for n in range(files - 8):
        (path / "distributed" / f"__{n}_0.distcp").write_bytes(bytes([n]) * 50)


def decisions(audit: Audit) -> list[str]:
    record = RunRecord.load(audit.run, live=True)
    return [entry.body["decision"] for entry in record.ledger.of_type("checkpoint")]


def below(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_an_open_gate_promotes_and_the_checkpoint_loads(
    audit: Callable[..., Audit], tmp_path: Path, key: Path
) -> None:
    made = audit()
    target = tmp_path / "out" / "model.safetensors"
    decision = made.checkpoint(target, save, step=40)
    assert decision.promoted
    assert decision.path == target
    assert (decision.status, decision.look, decision.step) == ("pass", 1, 40)
    assert below(tmp_path / "out") == {"model.safetensors", "model.safetensors.auditor.json"}
    checkpoint = load_checkpoint(target, key=f"{key}.pub")
    assert checkpoint.pinned
    assert checkpoint.signer == str(VerifyingKey.load(f"{key}.pub"))
    assert torch.equal(checkpoint.state_dict()["w"], torch.arange(6.0))
    manifest = checkpoint.manifest
    assert (manifest.run, manifest.step, manifest.status) == ("run-0", 40, "pass")
    entry = RunRecord.load(made.run, live=True).ledger.entries[manifest.ledger.entry]
    assert (entry.digest, entry.type) == (manifest.ledger.digest, "checkpoint")
    assert entry.body["decision"] == "promoted"
    assert entry.body["digests"] == [f"sha256:{manifest.files[0].sha256}"]
    made.close()
    assert not verify_run(made.run).faults


def test_a_folder_of_20_files_is_promoted_with_all_of_them(
    audit: Callable[..., Audit], tmp_path: Path, key: Path
) -> None:
    target = tmp_path / "checkpoint-500"
    assert audit().checkpoint(target, save_folder).promoted
    checkpoint = load_checkpoint(target, key=f"{key}.pub")
    assert len(checkpoint.manifest.files) == 20
    assert {file.name for file in checkpoint.manifest.files} >= {
        "optimizer.pt", "rng_state.pth", ".hidden", "distributed/__3_0.distcp",
    }  # fmt: skip
    state = checkpoint.state_dict()
    assert sorted(state) == [f"layer.{n}" for n in range(4)]
    assert torch.equal(state["layer.2"], torch.full((3,), 2.0))
    assert torch.equal(checkpoint.state_dict("optimizer.pt")["exp_avg"], torch.ones(3))
    assert load_checkpoint(shutil.move(target, tmp_path / "renamed"), key=f"{key}.pub").pinned


def test_a_byte_flipped_anywhere_is_found(audit: Callable[..., Audit], tmp_path: Path) -> None:
    target = tmp_path / "checkpoint"
    audit().checkpoint(target, save_folder)
    for name in sorted(below(target)):
        file = target / name
        data = file.read_bytes()
        for place in {0, len(data) // 2, len(data) - 1}:
            file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            with pytest.raises(CheckpointError):
                load_checkpoint(target)
        file.write_bytes(data)
    assert load_checkpoint(target).signer


@pytest.mark.parametrize("change", ["added", "missing", "linked", "renamed", "fifo"])
def test_a_file_added_missing_or_linked_is_found(
    audit: Callable[..., Audit], tmp_path: Path, change: str
) -> None:
    target = tmp_path / "checkpoint"
    audit().checkpoint(target, save_folder)
    match change:
        case "added":
            (target / "distributed" / "more").write_text("")
        case "missing":
            (target / "optimizer.pt").unlink()
        case "renamed":
            (target / "optimizer.pt").rename(target / "optimizer.bin")
        case "fifo":
            os.mkfifo(target / "pipe")
        case _:
            (target / "optimizer.pt").rename(tmp_path / "elsewhere.pt")
            (target / "optimizer.pt").symlink_to(tmp_path / "elsewhere.pt")
    with pytest.raises(CheckpointError, match="added|missing|link|neither"):
        load_checkpoint(target)


def test_a_manifest_of_another_checkpoint_or_of_an_older_one_vouches_for_nothing(
    audit: Callable[..., Audit], tmp_path: Path
) -> None:
    made = audit()
    one, two = tmp_path / "one", tmp_path / "two"
    made.checkpoint(one, lambda path: save_folder(path, files=20))
    made.checkpoint(two, lambda path: save_folder(path, files=21))
    old = (one / "auditor-checkpoint.json").read_bytes()
    new = (two / "auditor-checkpoint.json").read_bytes()
    (one / "auditor-checkpoint.json").write_bytes(new)
    (two / "auditor-checkpoint.json").write_bytes(old)
    for folder in (one, two):
        with pytest.raises(CheckpointError):
            load_checkpoint(folder)
    latest = tmp_path / "latest.pt"
    made.checkpoint(latest, lambda path: torch.save({"w": torch.zeros(2)}, path))
    old = Path(f"{latest}.auditor.json").read_bytes()
    made.checkpoint(latest, lambda path: torch.save({"w": torch.ones(2)}, path))
    assert torch.equal(load_checkpoint(latest).state_dict()["w"], torch.ones(2))
    Path(f"{latest}.auditor.json").write_bytes(old)
    with pytest.raises(CheckpointError, match="changed"):
        load_checkpoint(latest)


def test_keys_are_insisted_on(audit: Callable[..., Audit], tmp_path: Path) -> None:
    target = tmp_path / "model.safetensors"
    audit().checkpoint(target, save)
    SigningKey.generate(tmp_path / "other.key")
    with pytest.raises(CheckpointError, match="not by the key given"):
        load_checkpoint(target, key=tmp_path / "other.key.pub")
    manifest = Path(f"{target}.auditor.json")
    document = json.loads(manifest.read_bytes())

    def rewrite(changed: Any) -> None:
        manifest.write_text(json.dumps(changed, sort_keys=True, separators=(",", ":")))

    rewrite(document | {"signature": None})
    with pytest.raises(CheckpointError, match="stripped"):
        load_checkpoint(target, unsigned=True)
    rewrite(document | {"manifest": document["manifest"] | {"step": 7}})
    with pytest.raises(CheckpointError, match="does not verify"):
        load_checkpoint(target)
    rewrite(document | {"manifest": document["manifest"] | {"key": None}, "signature": None})
    with pytest.raises(CheckpointError, match="not signed"):
        load_checkpoint(target)
    assert load_checkpoint(target, unsigned=True).signer is None


def test_an_unsigned_checkpoint_is_accepted_only_where_that_is_said(
    audit: Callable[..., Audit], tmp_path: Path
) -> None:
    target = tmp_path / "model.safetensors"
    assert audit(signed=False).checkpoint(target, save).promoted
    with pytest.raises(CheckpointError, match="anybody could have written it"):
        load_checkpoint(target)
    assert load_checkpoint(target, unsigned=True).state_dict()["w"].shape == (6,)


def test_what_was_never_promoted_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "model.safetensors")
    save_folder(tmp_path / "folder")
    for name in ("model.safetensors", "folder"):
        with pytest.raises(CheckpointError, match="it was not promoted: there is no"):
            load_checkpoint(tmp_path / name, unsigned=True)
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "gone")


@pytest.mark.parametrize("folder", [False, True])
def test_a_closed_gate_sends_to_quarantine_and_leaves_what_was_there(
    audit: Callable[..., Audit], tmp_path: Path, folder: bool
) -> None:
    out = tmp_path / "out"
    target = out / "checkpoint"
    writer: Callable[[Path], None] = save_folder if folder else save
    assert audit().checkpoint(target, writer).promoted
    before = {name: (out / name).read_bytes() for name in below(out)}
    bad = audit(right=False)
    decision = bad.checkpoint(target, writer)
    assert (decision.decision, decision.status) == ("quarantined", "fail")
    assert decision.path == out / "quarantine" / "checkpoint"
    assert "accurate: fail" in decision.reasons[0]
    note = (out / "quarantine" / "checkpoint.quarantined.txt").read_text()
    assert "accurate: fail" in note
    assert decisions(bad) == ["quarantined"]
    with pytest.raises(CheckpointError, match="quarantine"):
        load_checkpoint(decision.path, unsigned=True)
    assert {name: (out / name).read_bytes() for name in before} == before
    assert load_checkpoint(target).signer
    assert bad.checkpoint(target, writer).path == out / "quarantine" / "checkpoint-2"


def test_a_folder_that_a_trainer_wrote_is_judged_where_it_lies(
    audit: Callable[..., Audit], tmp_path: Path
) -> None:
    target = tmp_path / "out" / "checkpoint-1"
    target.parent.mkdir()
    save_folder(target)
    assert audit().checkpoint(target).promoted
    assert load_checkpoint(target).signer
    bad = audit(right=False)
    stays = bad.checkpoint(target, move=False)
    assert (stays.decision, stays.path) == ("refused", target)
    with pytest.raises(CheckpointError, match="it was not promoted"):
        load_checkpoint(target)
    moved = bad.checkpoint(target)
    assert moved.path == tmp_path / "out" / "quarantine" / "checkpoint-1"
    assert not target.exists()
    assert len(below(moved.path)) == 20


def test_a_rule_that_warns_stands_in_the_manifest(
    audit: Callable[..., Audit], tmp_path: Path
) -> None:
    target = tmp_path / "model.safetensors"
    decision = audit(right=False, on_fail="warn").checkpoint(target, save)
    assert decision.promoted
    checkpoint = load_checkpoint(target)
    assert checkpoint.manifest.status == "fail"
    assert "accurate: fail" in checkpoint.manifest.warnings[0]
    assert checkpoint.manifest.warnings == decision.warnings


def test_a_stop_goes_to_quarantine_and_ends_the_training(
    audit: Callable[..., Audit], tmp_path: Path
) -> None:
    made = audit(right=False, on_fail="stop")
    with pytest.raises(GateClosed, match="stops the training at checkpoint model") as closed:
        made.checkpoint(tmp_path / "model.safetensors", save)
    assert closed.value.decision.decision == "quarantined"
    assert closed.value.decision.path.parent == tmp_path / "quarantine"
    assert closed.value.verdict.status == "fail"
    assert not (tmp_path / "model.safetensors").exists()


def test_errors_of_save_are_the_users_and_leave_nothing(
    audit: Callable[..., Audit], tmp_path: Path
) -> None:
    made, out = audit(), tmp_path / "out"
    out.mkdir()

    def breaks(path: Path) -> None:
        save(path)
        raise RuntimeError("a full head")

    with pytest.raises(RuntimeError, match="a full head"):
        made.checkpoint(out / "model.safetensors", breaks)
    with pytest.raises(InputError, match="save wrote nothing"):
        made.checkpoint(out / "model.safetensors", lambda path: None)
    with pytest.raises(InputError, match=r"save wrote 'more' beside its path"):
        made.checkpoint(out / "m", lambda path: (path.with_name("more")).write_text(""))
    with pytest.raises(InputError, match="no such checkpoint"):
        made.checkpoint(out / "gone")
    assert list(out.iterdir()) == []


def test_a_link_in_a_checkpoint_is_not_promoted(
    audit: Callable[..., Audit], tmp_path: Path
) -> None:
    def links(path: Path) -> None:
        save_folder(path)
        (path / "weights").symlink_to(tmp_path)

    decision = audit().checkpoint(tmp_path / "checkpoint", links)
    assert (decision.decision, decision.status) == ("quarantined", "error")
    assert "weights is a symbolic link" in decision.reasons[0]


@pytest.mark.parametrize(("required", "where"), [(True, "quarantined"), (False, "refused")])
def test_an_error_of_the_audit_breaks_nothing_and_promotes_nothing(
    audit: Callable[..., Audit], tmp_path: Path, required: bool, where: str,
    world: tuple[pd.DataFrame, DataLoader[Any]],
) -> None:  # fmt: skip
    made = audit()

    def unreadable(outputs: Any) -> Any:
        raise RuntimeError("no such head")

    verdict = made.validate(Sign(), world[1], predict=unreadable)
    assert verdict is not None
    assert (verdict.status, verdict.gate) == ("error", "closed")
    assert "no such head" in verdict.rules[-1].reason
    decision = made.checkpoint(tmp_path / "model.safetensors", save, required=required)
    assert (decision.decision, decision.status) == (where, "error")
    assert (tmp_path / "model.safetensors").exists() is not required
    with pytest.raises(CheckpointError):
        load_checkpoint(decision.path)
    # The next look that can be taken opens it again.
    assert made.validate(Sign(), world[1]).status == "pass"  # type: ignore[union-attr]
    assert made.checkpoint(tmp_path / "model.safetensors", save).promoted
    made.close()
    assert not verify_run(made.run).faults


def test_the_final_gate_certifies_the_model_and_takes_it_back(
    audit: Callable[..., Audit], tmp_path: Path, world: tuple[pd.DataFrame, DataLoader[Any]]
) -> None:
    model = tmp_path / "model.safetensors"
    save(model)
    made = audit()
    assert made.gate(checkpoint=model).gate == "open"  # type: ignore[union-attr]
    assert load_checkpoint(model).manifest.stages == ("pre-deployment",)
    made.validate(Sign(-1), world[1])
    made.close()  # the verdict is given again, of everything that was measured
    assert made.verdict is not None
    assert made.verdict.gate == "closed"
    with pytest.raises(CheckpointError, match="not promoted"):
        load_checkpoint(model)
    assert model.exists()
    assert not verify_run(made.run).faults


def test_state_dicts_are_read_from_the_bytes_that_were_verified(
    audit: Callable[..., Audit], tmp_path: Path
) -> None:
    target = tmp_path / "model.safetensors"
    audit().checkpoint(target, save)
    checkpoint = load_checkpoint(target)
    save_file({"w": torch.zeros(6)}, target)
    with pytest.raises(CheckpointError, match="changed after it was verified"):
        checkpoint.state_dict()


CHILD = """
import os, signal, sys
from pathlib import Path
import pandas as pd, torch
from torch.utils.data import DataLoader, TensorDataset
from auditor import Audit

when, target, run, policy = sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def save(path):
    path.mkdir()
    for n in range(3):
        (path / f"{n}.bin").write_bytes(b"new" * 100)
        if when == "writing" and n == 1:
            die()
    if when == "written":
        die()

frame = pd.DataFrame({"y": [0, 1] * 50, "sex": ["F", "M"] * 50})
with Audit(policy, run) as audit:
    audit.data(validation=frame, target="y", sensitive=["sex"])
    if when in ("renaming", "manifest"):
        # The system call after which the process is gone, as a power cut would have it.
        name = str(target) if when == "renaming" else "auditor-checkpoint.json"
        def trace(event, args):
            if event == "os.rename" and when == "renaming" and str(args[1]) == name:
                die()
            if event == "os.rename" and when == "manifest" and str(args[1]).endswith(name):
                die()
        sys.addaudithook(trace)
    audit.checkpoint(target, save)
    print("done")
"""


@pytest.mark.slow
@pytest.mark.parametrize("there", ["nothing", "a promoted one"])
@pytest.mark.parametrize("when", ["writing", "written", "renaming", "manifest"])
def test_kill_9_between_the_phases_never_leaves_a_manifest(
    tmp_path: Path, when: str, there: str
) -> None:
    policy, out = tmp_path / "policy.yaml", tmp_path / "out"
    policy.write_text(POLICY % (0.5, "block", 1))
    target = out / "checkpoint"

    def child(when: str, run: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", CHILD, when, target, tmp_path / run, policy]
        paths = os.environ | {"PYTHONPATH": str(Path(auditor.__file__).parent.parent)}
        return subprocess.run(
            [str(part) for part in command], env=paths, capture_output=True, text=True, check=False
        )

    if there != "nothing":
        with Audit(policy, tmp_path / "run-0") as audit:
            assert audit.checkpoint(target, save_folder).promoted
    done = child(when, "run-1")
    assert done.returncode == -signal.SIGKILL, done.stderr
    if target.exists() and there != "nothing" and when in ("writing", "written"):
        assert len(load_checkpoint(target, unsigned=True).manifest.files) == 20
    else:
        with pytest.raises(CheckpointError):
            load_checkpoint(target, unsigned=True)
    hidden = [name for name in os.listdir(out) if name.endswith(".auditor-staging")]
    assert all(name.startswith(".checkpoint.") for name in hidden)
    assert len(hidden) == 1
    # The next call for the same path cleans up, and goes through.
    done = child("never", "run-2")
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    assert len(load_checkpoint(target, unsigned=True).manifest.files) == 3
    assert not [name for name in os.listdir(out) if name.endswith(".auditor-staging")]


FULL = """
import resource, signal, sys
from pathlib import Path
import pandas as pd
from auditor import Audit

target, run, policy, limit = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
frame = pd.DataFrame({"y": [0, 1] * 50, "sex": ["F", "M"] * 50})
with Audit(policy, run) as audit:
    audit.data(validation=frame, target="y", sensitive=["sex"])
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    def save(path):
        path.write_bytes(b"w" * 100)
        # From here on the file system takes no more than so many bytes of a file.
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    decision = audit.checkpoint(target, save)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(decision.decision, decision.status)
    print(audit.checkpoint(target, lambda path: path.write_bytes(b"v" * 100)).decision)
"""


@pytest.mark.parametrize("limit", [0, 60])
def test_a_file_system_that_fills_after_the_weights_ends_without_a_manifest(
    tmp_path: Path, limit: int
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY % (0.5, "block", 1))
    target = tmp_path / "out" / "model.bin"
    command = [sys.executable, "-c", FULL, target, tmp_path / "run", policy, limit]
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(Path(auditor.__file__).parent.parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["quarantined error", "promoted"]
    with pytest.raises(CheckpointError):
        load_checkpoint(target.parent / "quarantine" / "model.bin", unsigned=True)
    assert load_checkpoint(target, unsigned=True).manifest.files[0].bytes == 100
    assert not verify_run(tmp_path / "run").faults
    assert os.strerror(errno.EFBIG) in done.stderr


def test_a_replaced_folder_that_nobody_vouches_for_is_no_loss_of_data(
    audit: Callable[..., Audit], tmp_path: Path
) -> None:
    """A folder that is in the way, and no checkpoint, is not deleted."""
    target = tmp_path / "out" / "checkpoint"
    target.mkdir(parents=True)
    (target / "thesis.tex").write_text("years of work")
    assert audit().checkpoint(target, save_folder).promoted
    assert load_checkpoint(target).signer
    kept = list((tmp_path / "out").rglob("thesis.tex"))
    assert [path.read_text() for path in kept] == ["years of work"]


def test_the_command_line_verifies_a_checkpoint(
    audit: Callable[..., Audit], tmp_path: Path, key: Path
) -> None:
    from typer.testing import CliRunner

    from auditor.cli import app

    def verify(*words: object) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["verify", *map(str, words)])
        return done.exit_code, done.output

    made, target = audit(), tmp_path / "checkpoint"
    made.checkpoint(target, save_folder)
    code, said = verify(target, "--key", f"{key}.pub")
    assert (code, "20 files as they were promoted by run run-0" in said) == (0, True)
    assert verify(target)[0] == 3
    code, said = verify(target, "--json")
    assert json.loads(said[said.index("{") : said.rindex("}") + 1])["manifest"]["status"] == "pass"
    (target / "optimizer.pt").write_bytes(b"other")
    code, said = verify(target, "--key", f"{key}.pub")
    assert (code, "optimizer.pt: the file was changed" in said) == (1, True)
    bad = audit(right=False).checkpoint(target, save_folder)
    assert verify(bad.path)[0] == 1
