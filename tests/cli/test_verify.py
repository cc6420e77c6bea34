"""``auditor verify`` and ``judge``: exit codes, pins, and every change found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from .conftest import Auditor

OPTIONS = ["--target", "y", "--prediction", "p", "--score", "s", "--sensitive", "sex,race"]


def test_signed_and_pinned_is_0_unpinned_and_unsigned_are_3(auditor: Auditor, table: Path) -> None:
    assert auditor("keys", "new", "me.key").code == 0
    auditor("predictions", table, *OPTIONS, "--out", "signed", "--sign-key", "me.key")
    auditor("predictions", table, *OPTIONS, "--out", "plain")
    assert auditor("verify", "signed", "--key", "me.key.pub").code == 0
    unpinned = auditor("verify", "signed")
    assert unpinned.code == 3
    assert "--key FILE.pub" in unpinned.err
    unsigned = auditor("verify", "plain")
    assert unsigned.code == 3
    assert "unsigned" in unsigned.err
    auditor("keys", "new", "other.key")
    assert auditor("verify", "signed", "--key", "other.key.pub").code == 1


def test_a_known_head_is_held_against_the_run(auditor: Auditor, table: Path) -> None:
    auditor("predictions", table, *OPTIONS, "--out", "run")
    head = auditor("verify", "run", "--json").json["head"]
    assert auditor("verify", "run", "--head", head).code == 3
    assert auditor("verify", "run", "--head", "sha256:" + "0" * 64).code == 1


def test_the_key_of_the_environment_signs(
    auditor: Auditor, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auditor("keys", "new", "env.key")
    monkeypatch.setenv("AUDITOR_KEY", "env.key")
    auditor("predictions", table, *OPTIONS, "--out", "run")
    assert auditor("verify", "run", "--key", "env.key.pub").code == 0


def test_a_stripped_signature_is_a_change(auditor: Auditor, table: Path) -> None:
    auditor("keys", "new", "me.key")
    auditor("predictions", table, *OPTIONS, "--out", "run", "--sign-key", "me.key")
    head = Path("run/head")
    head.write_text(head.read_text().split("\n\n")[0] + "\n\n")
    assert auditor("verify", "run").code == 1


def test_forged_findings_are_found_even_under_a_forged_seal(
    auditor: Auditor, table: Path, tmp_path: Path
) -> None:
    """Without a key anybody can seal again; the numbers must still follow from the statistics."""
    from auditor.evidence import canonical_json
    from auditor.ledger import RunFolder, RunRecord

    auditor("predictions", table, *OPTIONS, "--policy", "four-fifths-screen", "--out", "run")
    record = RunRecord.load("run")
    for name, change in (
        ("findings.json", lambda d: d["findings"][3].update(value=0.123)),
        ("verdict.json", lambda d: d.update(status="pass")),
    ):
        shutil.rmtree("forged/run", ignore_errors=True)
        forged = RunFolder.create("forged/run")
        entries = record.ledger.entries
        policy = record.policy_text
        writer = forged.writer()
        body = dict(entries[0].body)
        from auditor.evidence import PolicyReference

        forged.register(
            writer, signer=None, policy=PolicyReference(**body.pop("policy")), policy_text=policy,
            **{k: v for k, v in body.items() if k not in ("run", "signer")},
        )  # fmt: skip
        for path in Path("run").rglob("*"):
            if path.is_file() and path.name not in ("ledger.jsonl", "head", "policy.yaml"):
                forged.write(str(path.relative_to("run")), path.read_bytes())
        for entry in entries[1:-1]:
            writer.append(entry.type, entry.body)
        document = json.loads((forged.path / name).read_bytes())
        change(document)
        forged.write(name, canonical_json(document))
        forged.seal(writer, None)
        result = auditor("verify", "forged/run")
        assert result.code == 1
        assert name in result.err


@pytest.mark.parametrize("what", ["missing", "empty", "other", "interrupted", "damaged"])
def test_what_is_no_finished_run(auditor: Auditor, table: Path, what: str) -> None:
    folder = Path("folder")
    if what != "missing":
        folder.mkdir()
    if what == "other":
        (folder / "note.txt").write_text("hello")
    if what in ("interrupted", "damaged"):
        folder.rmdir()
        auditor("predictions", table, *OPTIONS, "--out", folder)
    if what == "interrupted":
        lines = (folder / "ledger.jsonl").read_bytes().splitlines(keepends=True)
        (folder / "ledger.jsonl").write_bytes(b"".join(lines[:-1]))
        (folder / "head").unlink()
    if what == "damaged":
        (folder / "findings.json").write_bytes(b"{")
    verified = auditor("verify", folder)
    assert verified.code == (1 if what in ("interrupted", "damaged") else 2)
    judged = auditor("judge", folder, "--policy", "baseline")
    assert judged.code == 2
    assert len(judged.err.strip().splitlines()) == 1


def test_judging_again_says_that_the_policy_was_not_registered(
    auditor: Auditor, table: Path
) -> None:
    auditor("predictions", table, *OPTIONS, "--policy", "baseline", "--out", "run")
    before = sorted(Path("run").rglob("*"))
    done = auditor("judge", "run", "--policy", "four-fifths-screen", "--out", "judged", "--json")
    assert done.code in (1, 3)
    assert done.json["registered"] is False
    assert done.json["head"] == auditor("verify", "run", "--json").json["head"]
    assert json.loads(Path("judged/verdict.json").read_text()) == done.json
    assert sorted(Path("run").rglob("*")) == before
    same = auditor("judge", "run", "--policy", "baseline", "--json")
    assert same.json["registered"] is True
    bad = auditor("judge", "run", "--policy", "baseline", "--out", "judged")
    assert bad.code == 2


def test_keys_are_never_overwritten_and_shown(auditor: Auditor) -> None:
    made = auditor("keys", "new", "me.key")
    assert made.code == 0
    assert auditor("keys", "show", "me.key.pub").out == made.out
    assert auditor("keys", "show", "me.key").out == made.out
    again = auditor("keys", "new", "me.key")
    assert again.code == 2
    assert len(again.err.strip().splitlines()) == 1
