"""The first entry and the last: what they bind, who may write them, and what can come between."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from auditor.errors import InputError, RunError
from auditor.evidence import PolicyReference, sha256
from auditor.ledger import (
    LedgerWriter,
    RunFolder,
    SigningKey,
    check_integrity,
    parse_ledger,
    verify_head,
)

OpenRun = Callable[..., tuple[RunFolder, LedgerWriter]]
SealedRun = Callable[..., Path]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_run_from_the_first_entry_to_the_seal(open_run: OpenRun, key: SigningKey) -> None:
    run, writer = open_run("credit-7", key)
    head = run.seal(writer, key)
    ledger = parse_ledger((run.path / "ledger.jsonl").read_bytes())
    first, statistics, seal = ledger.entries
    assert first.type == "register"
    assert first.body["run"] == "credit-7"
    assert first.body["signer"] == str(key.verifying_key)
    assert first.body["policy"]["digest"] == sha256((run.path / "policy.yaml").read_bytes())
    assert statistics.body["digest"] == sha256(b'{"counts":[1,2]}')
    assert seal.type == "seal"
    assert seal.body == {"files": run.files()}
    assert set(seal.body["files"]) == {
        "evidence/" + statistics.body["digest"].removeprefix("sha256:") + ".json",
        "findings.json",
        "key.pub",
        "policy.yaml",
        "run.json",
    }
    assert verify_head((run.path / "head").read_bytes(), key.verifying_key) == head
    assert (head.origin, head.size, head.root) == ("auditor/run/credit-7", 3, ledger.root())
    assert (run.path / "key.pub").read_text() == f"{key.verifying_key}\n"
    assert writer.closed


def test_nothing_is_written_after_the_seal(open_run: OpenRun, key: SigningKey) -> None:
    run, writer = open_run("small", key)
    assert not run.sealed
    run.seal(writer, key)
    assert run.sealed
    before = snapshot(run.path)
    for act in (
        lambda: run.write("report.html", b""),
        lambda: run.put_evidence({"new": 1}),
        lambda: run.seal(writer, key),
        lambda: writer.append("more", {}),
    ):
        with pytest.raises(RunError, match=r"sealed|closed"):
            act()
    assert snapshot(run.path) == before


def test_empty_folders_do_not_reach_the_seal(open_run: OpenRun) -> None:
    run, writer = open_run()
    (run.path / "a" / "b" / "c").mkdir(parents=True)
    run.write("d/e/file", b"")
    run.seal(writer, None)
    assert not (run.path / "a").exists()
    assert check_integrity(run.path).intact


def test_only_the_signer_of_entry_0_seals(
    open_run: OpenRun, key: SigningKey, make_key: Callable[..., SigningKey]
) -> None:
    run, writer = open_run("signed", key)
    for other in (None, make_key(bytes(32)), make_key(name="namesake")):
        with pytest.raises(RunError, match="signed by another key than entry 0 names"):
            run.seal(writer, other)
    unsigned, its_writer = open_run("unsigned")
    with pytest.raises(RunError, match="signed by another key than entry 0 names; no key"):
        unsigned.seal(its_writer, key)
    with pytest.raises(RunError, match="belongs to another run"):
        run.seal(its_writer, key)
    run.seal(writer, key)
    unsigned.seal(its_writer, None)
    assert check_integrity(run.path).intact
    assert check_integrity(unsigned.path).intact


def test_a_run_without_a_registration_is_not_sealed(
    tmp_path: Path, clock: Callable[[], datetime]
) -> None:
    run = RunFolder.create(tmp_path / "run")
    with run.writer(clock=clock) as writer:
        with pytest.raises(RunError, match="does not register this run"):
            run.seal(writer, None)
        writer.append("register", {"run": "another", "signer": None, "policy": None})
        with pytest.raises(RunError, match="does not register this run"):
            run.seal(writer, None)
        with pytest.raises(RunError, match="registered already"):
            run.register(writer, signer=None)


def test_a_policy_is_registered_with_the_digest_of_its_text(
    tmp_path: Path, policy: tuple[PolicyReference, str]
) -> None:
    run = RunFolder.create(tmp_path / "run")
    reference, text = policy
    with run.writer() as writer:
        for wrong in ((None, text), (reference, None), (reference, text + "#")):
            with pytest.raises(InputError, match="not that of its text"):
                run.register(writer, signer=None, policy=wrong[0], policy_text=wrong[1])
        assert (writer.size, snapshot(run.path)) == (0, {"ledger.jsonl": b""})
        entry = run.register(writer, signer=None, policy=reference, policy_text=text, seed=7)
    assert entry.body == {
        "run": "run",
        "signer": None,
        "policy": {"id": "small", "version": "1.0.0", "digest": reference.digest},
        "seed": 7,
    }


SEAL_ON_A_FULL_DISK = """
import resource, sys
from auditor.errors import RunError
from auditor.ledger import RunFolder, check_integrity, parse_ledger
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
run = RunFolder.create(sys.argv[1])
writer = run.writer()
run.register(writer, signer=None)
for n in range(30):
    run.write(f"file-{n}", b"")
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), hard))
try:
    run.seal(writer, None)
except RunError as error:
    print(error)
try:
    run.write("big", b"x" * 5000)
except RunError as error:
    print(error)
print(sorted(item.name for item in run.path.iterdir() if "file-" not in item.name))
print(writer.sealed, len(parse_ledger(writer.path.read_bytes()).entries))
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
run.seal(writer, None)
print(check_integrity(run.path).faults)
"""


@pytest.mark.parametrize(
    ("limit", "complaint"),
    [
        ("1000", "ledger.jsonl: entry 1 (seal) could not be written: File too large; the run is"),
        ("20", ": head could not be written: File too large; nothing that was there is damaged"),
    ],
)
def test_a_full_disk_at_the_seal_leaves_a_run_that_can_still_be_sealed(
    tmp_path: Path, run_python: Callable[..., str], limit: str, complaint: str
) -> None:
    path = tmp_path / "run"
    seal, write, names, state, faults = run_python(SEAL_ON_A_FULL_DISK, path, limit).splitlines()
    assert complaint in seal
    assert write.startswith(f"{path}: big could not be written: File too large; nothing that was")
    assert names == "['ledger.jsonl']"
    assert state == "False 1"
    assert faults == "()"


def test_an_interrupted_seal_is_finished_or_can_be_called_again(
    open_run: OpenRun, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = {call: getattr(os, call) for call in ("write", "fsync", "replace")}
    for call, real_call in real.items():
        for point in range(4):
            for done_before in (True, False):
                run, writer = open_run(f"{call}-{point}-{done_before}", key)
                left = point

                def interrupt(
                    *arguments: object, _done: bool = done_before, _real: object = real_call
                ) -> object:
                    nonlocal left
                    left -= 1
                    if left == -1:
                        if _done:
                            _real(*arguments)  # type: ignore[operator]
                        raise KeyboardInterrupt
                    return _real(*arguments)  # type: ignore[operator]

                with monkeypatch.context() as patch:
                    patch.setattr(os, call, interrupt)
                    try:
                        run.seal(writer, key)
                    except KeyboardInterrupt:
                        ledger = parse_ledger(writer.path.read_bytes())
                        assert (ledger.seal is None) != (run.path / "head").exists()
                        if ledger.seal:
                            with pytest.raises(RunError, match="nothing is written after"):
                                run.write("late.txt", b"")
                if not run.sealed:
                    run.seal(writer, key)
                found = check_integrity(run.path, key=key.verifying_key)
                assert found.faults == ()
                assert found.pinned
                assert [p.name for p in run.path.iterdir() if p.name.endswith(".tmp")] == []
