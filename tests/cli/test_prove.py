"""``auditor prove``, and ``auditor verify`` on what it writes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from auditor.ledger import RunFolder, SigningKey
from auditor.ledger.commitments import commit_records
from auditor.ledger.record_key import RecordKey, record_key_file
from auditor.ledger.steps import StepRecorder

from .conftest import Auditor


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a signed run over three records, its record key, and the signer's keys."""
    folder = tmp_path_factory.mktemp("recorded")
    key, secret = SigningKey.generate(folder / "me.key"), RecordKey.generate()
    run = RunFolder.create(folder / "run")
    with run.writer() as writer:
        run.register(writer, signer=key.verifying_key, **secret.registration())
        committed = commit_records(["a", "b", "c"], secret, split="train")
        run.write(committed.name, committed.data())
        writer.append("records", committed.body())
        recorder = StepRecorder(committed)
        for batch in ([0, 1], [1]):
            recorder.add(batch)
            recorder.step()
        flushed = recorder.flush()
        assert flushed is not None
        for name, data in flushed.files.items():
            run.write(name, data)
        writer.append("steps", flushed.body)
        run.seal(writer, key)
    secret.save(record_key_file(run.path), run=run.path)
    return folder


@pytest.fixture
def run(recorded: Path, tmp_path: Path) -> Path:
    shutil.copytree(recorded, tmp_path, dirs_exist_ok=True)
    return tmp_path / "run"


def test_a_proof_of_yes_and_one_of_no_are_checked_without_the_run(
    auditor: Auditor, run: Path
) -> None:
    yes = auditor("prove", "run", "b", "--out", "yes.json")
    assert yes.code == 0
    assert "used in 2 steps: 1, 2" in yes.err
    no = auditor("prove", "run", "z", "--out", "no.json", "--json")
    assert no.code == 0
    assert no.json["included"] is False
    assert "is not among the records" in no.err
    assert no.out.encode() == Path("no.json").read_bytes()
    shutil.rmtree(run)
    for name, included, steps in (("yes.json", True, [1, 2]), ("no.json", False, [])):
        pinned = auditor("verify", name, "--key", "me.key.pub", "--json")
        assert pinned.code == 0
        assert (pinned.json["included"], pinned.json["steps"]) == (included, steps)
        unpinned = auditor("verify", name)
        assert unpinned.code == 3
        assert "--key FILE.pub" in unpinned.err
        head = pinned.json["head"]
        assert auditor("verify", name, "--head", head, "--key", "me.key.pub").code == 0
        assert auditor("verify", name, "--head", "sha256:" + "0" * 64).code == 1
    auditor("keys", "new", "other.key")
    assert auditor("verify", "yes.json", "--key", "other.key.pub").code == 1


def test_a_changed_proof_is_1(auditor: Auditor, run: Path) -> None:
    auditor("prove", "run", "b", "--out", "yes.json")
    text = Path("yes.json").read_text()
    Path("yes.json").write_text(text.replace('"record":"b"', '"record":"z"'))
    changed = auditor("verify", "yes.json", "--key", "me.key.pub")
    assert changed.code == 1
    assert "✗" in changed.err


def test_the_proof_does_not_hold_the_key_of_the_run(auditor: Auditor, run: Path) -> None:
    secret = Path("run.record-key").read_text().split()[1]
    assert secret not in auditor("prove", "run", "b", "--json").out
    assert Path("run.record-key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "b", "--record-key", "none"], "none: there is no record key"),
        (["run", "b", "--record-key", "me.key"], "not a record key"),
        (["run", "b", "--record-key", "wrong.key"], "not the record key to which entry 0"),
        (["run", "b", "--split", "test"], "committed to no records of 'test'"),
        (["run", "b", "--out", "me.key"], "there is a file already"),
        (["run", "b", "--out", "run/proof.json"], "nothing is written into a finished run"),
        (["nowhere", "b"], "there is no such folder"),
        (["plain", "b"], "the run committed to no records"),
    ],
)
def test_what_cannot_be_proved_is_one_line_and_2(
    auditor: Auditor, run: Path, arguments: list[str], message: str
) -> None:
    RecordKey(bytes(32)).save("wrong.key", run=run)
    plain = RunFolder.create("plain")
    with plain.writer() as writer:
        plain.register(writer, signer=None)
        plain.seal(writer, None)
    refused = auditor("prove", *arguments)
    assert refused.code == 2
    assert message in refused.err
    assert len(refused.err.strip().splitlines()) == 1
