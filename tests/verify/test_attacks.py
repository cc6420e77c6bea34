"""A sealed run in the hands of somebody who knows the format: every change is found and placed."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor import Audit
from auditor.evidence import canonical_json, sha256
from auditor.ledger import (
    Entry,
    Head,
    SigningKey,
    VerifyingKey,
    check_integrity,
    format_head,
    generate_key,
    parse_ledger,
    tree_root,
)
from auditor.ledger.layout import origin_of
from auditor.verify import Verification, verify_run

Files = dict[str, bytes]
Places = set[str]

OTHER_POLICY = """schema: auditor/policy/v1
id: other
version: 1.0.0
rules:
  - {id: one, metric: selection_rate_ratio, over: [sex], stage: evaluation, accept: ">= 0.1"}
"""


def read_files(run: Path) -> Files:
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file()
    }


def audited(folder: Path, *, seed: int, key: Path, policy: str | Path) -> Files:
    """A run over predictions, sealed and signed: what lies in its folder."""
    rng = np.random.default_rng(seed)
    rows = 400
    sex = rng.choice(["F", "M"], rows)
    frame = pd.DataFrame(
        {"sex": sex, "p": (rng.random(rows) < 0.4 + 0.2 * (sex == "M")).astype(int),
         "y": rng.integers(0, 2, rows)}
    )  # fmt: skip
    with Audit(policy=policy, run=folder, key=key, seed=seed) as audit:
        audit.data(test=frame[["sex", "y"]], target="y", sensitive="sex")
        audit.evaluate(predictions=frame, prediction="p")
        audit.gate()
    return read_files(folder)


@pytest.fixture(scope="module")
def key_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("me", "them"):
        generate_key(folder / name)
    return folder / "me", folder / "them"


@pytest.fixture(scope="module")
def keys(key_files: tuple[Path, Path]) -> tuple[SigningKey, SigningKey]:
    return SigningKey.load(key_files[0]), SigningKey.load(key_files[1])


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory, key_files: tuple[Path, Path]
) -> tuple[Files, Files]:
    """A run, and another one of the same name: other people, another policy, another key."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "other.yaml").write_text(OTHER_POLICY)
    return (
        audited(folder / "a" / "credit", seed=0, key=key_files[0], policy="four-fifths-screen"),
        audited(folder / "b" / "credit", seed=1, key=key_files[1], policy=folder / "other.yaml"),
    )


class Attack:
    """One random change of a run folder; ``make`` does it and says which places may be named."""

    def __init__(
        self, folder: Path, runs: tuple[Files, Files], keys: tuple[SigningKey, SigningKey]
    ) -> None:
        self.folder, self.run = folder, folder / "credit"
        (self.files, self.other), self.keys = runs, keys
        self.lines = parse_ledger(self.files["ledger.jsonl"]).lines
        self.random = random.Random(0)

    def restore(self) -> None:
        shutil.rmtree(self.run, ignore_errors=True)
        for name, data in self.files.items():
            (self.run / name).parent.mkdir(parents=True, exist_ok=True)
            (self.run / name).write_bytes(data)

    def write(self, name: str, data: bytes) -> Places:
        assert data != self.files.get(name), "the attack changes nothing"
        (self.run / name).write_bytes(data)
        return {name}

    def any_file(self) -> tuple[str, bytes]:
        return self.random.choice(list(self.files.items()))

    def place(self, name: str, at: int) -> Places:
        """The file, or the entry of the ledger that holds byte ``at``, or the one after it."""
        if name != "ledger.jsonl":
            return {name}
        entry = self.files[name][:at].count(b"\n")
        last = entry >= len(self.lines) - 1
        return {f"{name}, entry {entry}", f"{name}, entry {entry + 1}", *(["head"] * last)}

    def put_lines(self, lines: list[bytes]) -> None:
        self.write("ledger.jsonl", b"".join(line + b"\n" for line in lines))

    # One change a method; a name says what the attacker does.

    def flip_a_bit(self) -> Places:
        name, data = self.any_file()
        at = self.random.randrange(len(data))
        changed = bytearray(data)
        changed[at] ^= 1 << self.random.randrange(8)
        self.write(name, bytes(changed))
        return self.place(name, at)

    def cut_a_file(self) -> Places:
        name, data = self.any_file()
        at = self.random.randrange(len(data))
        self.write(name, data[:at])
        return {name} if name != "ledger.jsonl" else {
            "ledger.jsonl", f"ledger.jsonl, after entry {data[:at].count(10) - 1}", "head"
        }  # fmt: skip

    def add_bytes(self) -> Places:
        name, data = self.any_file()
        at = self.random.randrange(len(data) + 1)
        more = self.random.choice([b"\0", b"\n", b" ", b"\r\n", b"{}", b"\xef\xbb\xbf", b"\xff"])
        self.write(name, data[:at] + more + data[at:])
        end = {"ledger.jsonl, after entry " + str(len(self.lines) - 1)} if at == len(data) else {}
        return self.place(name, at) | {*end}

    def exchange_bytes(self) -> Places:
        name, data = self.any_file()
        while True:
            first, second = sorted(self.random.sample(range(len(data)), 2))
            if data[first] != data[second]:
                break
        changed = bytearray(data)
        changed[first], changed[second] = changed[second], changed[first]
        self.write(name, bytes(changed))
        return self.place(name, first)

    def swap_lines(self) -> Places:
        first, second = sorted(self.random.sample(range(len(self.lines)), 2))
        lines = list(self.lines)
        lines[first], lines[second] = lines[second], lines[first]
        self.put_lines(lines)
        return {f"ledger.jsonl, entry {first}"}

    def take_out_a_line(self) -> Places:
        at = self.random.randrange(len(self.lines))
        self.put_lines([line for number, line in enumerate(self.lines) if number != at])
        return {f"ledger.jsonl, entry {at}"} if at < len(self.lines) - 1 else {"ledger.jsonl"}

    def double_a_line(self) -> Places:
        at = self.random.randrange(len(self.lines))
        self.put_lines([*self.lines[: at + 1], *self.lines[at:]])
        return {f"ledger.jsonl, entry {at + 1}"}

    def remove_a_file(self) -> Places:
        name, _ = self.any_file()
        (self.run / name).unlink()
        return {name}

    def rename_a_file(self) -> Places:
        name, _ = self.any_file()
        folder, _, base = name.rpartition("/")
        names = {base.upper(), base.capitalize(), f"{base}~", f".{base}"} - {base}
        new = self.random.choice(sorted(names))
        (self.run / name).rename(self.run / folder / new)
        return {name}

    def rename_evidence(self) -> Places:
        names = [name for name in self.files if name.startswith("evidence/")]
        first, second = self.random.sample(names, 2)
        self.write(first, self.files[second])
        self.write(second, self.files[first])
        return {self.random.choice([first, second])}

    def add_a_file(self) -> Places:
        name, data = self.any_file()
        new = self.random.choice([f"{name}.old", "extra", ".hidden", "evidence/x.json", "head2"])
        (self.run / new).write_bytes(data)
        return {new}

    def add_a_folder(self) -> Places:
        (self.run / "statements" / "none").mkdir(parents=True)
        return {"statements/none"}

    def link_softly(self) -> Places:
        name, data = self.any_file()
        outside = self.folder / "outside"
        outside.write_bytes(data)
        (self.run / name).unlink()
        (self.run / name).symlink_to(outside)
        return {name}

    def link_hard(self) -> Places:
        name, _ = self.any_file()
        os.link(self.run / name, self.run / "twin")
        return {"twin"}

    def put_in_another_runs_file(self) -> Places:
        names = [n for n in self.files if self.other.get(n, self.files[n]) != self.files[n]]
        name = self.random.choice(names)
        self.write(name, self.other[name])
        return {name, f"{name}, entry 0", "key.pub"}

    def put_in_another_runs_record(self) -> Places:
        for name in ("ledger.jsonl", "head"):
            self.write(name, self.other[name])
        return {"key.pub"}

    def replay_an_older_head(self) -> Places:
        size = self.random.randrange(1, len(self.lines))
        head = Head(origin=origin_of("credit"), size=size, root=tree_root(self.lines[:size]))
        self.write("head", format_head(head, self.keys[0]))
        if self.random.random() < 0.5:
            self.put_lines(list(self.lines[:size]))
            return {"ledger.jsonl"}
        return {"head"}

    def strip_the_signature(self) -> Places:
        data = self.files["head"]
        return self.write("head", data[: data.index(b"\n\n") + 2])

    def transplant_a_signature(self) -> Places:
        text, other = self.files["head"], self.other["head"]
        return self.write("head", text[: text.index(b"\n\n")] + other[other.index(b"\n\n") :])

    def write_a_line_another_way(self) -> Places:
        at = self.random.randrange(len(self.lines))
        line = self.lines[at]
        body = line[line.index(b":") + 1 :]
        ways = [
            b'{"body":{},"body":' + body,
            b'{ "body":' + body,
            b'{"\\u0062ody":' + body,
            line.replace(f'"seq":{at},'.encode(), f'"seq":{at}.0,'.encode()),
            line.replace(f'"seq":{at},'.encode(), f'"seq":{at}e0,'.encode()),
            line.replace(f'"seq":{at},'.encode(), f'"seq":-0,"seq":{at},'.encode()),
            line[:-1] + b',"zzz":1}',
            line + b"\r",
        ]
        self.put_lines([*self.lines[:at], self.random.choice(ways), *self.lines[at + 1 :]])
        return {f"ledger.jsonl, entry {at}"}

    def change_an_entry(self) -> Places:
        at = self.random.randrange(len(self.lines) - 1)
        document = json.loads(self.lines[at])
        document["body"]["note"] = "changed"
        self.put_lines([*self.lines[:at], canonical_json(document), *self.lines[at + 1 :]])
        return {f"ledger.jsonl, entry {at + 1}"}

    def change_an_entry_and_chain_anew(self) -> Places:
        at = self.random.randrange(len(self.lines))

        def change(entries: list[dict[str, Any]]) -> None:
            entries[at]["body"]["note"] = "changed"

        self.chain_anew(change, signer=None, keep_signature=self.random.random() < 0.5)
        return {"head"}

    def better_findings_unsigned(self) -> Places:
        self.better_findings(None)
        return {"head"}

    def better_findings_signed_by_another(self) -> Places:
        self.better_findings(self.keys[1])
        return {"head"}

    def seal_again_by_another(self) -> Places:
        """Nothing inside is off any more: found by whom the reader trusts."""
        key = self.keys[1]
        vkey = f"{key.verifying_key}\n".encode()

        def change(entries: list[dict[str, Any]]) -> None:
            entries[0]["body"]["signer"] = str(key.verifying_key)
            files = entries[-1]["body"]["files"]
            files["key.pub"] = sha256(vkey)
            for name in signed:
                del files[name]

        # The statements are signed by the run's own signer: whoever seals again makes his own.
        signed = [name for name in self.files if name.startswith("statements/")]
        for name in signed:
            (self.run / name).unlink()
        (self.run / "statements").rmdir()
        self.write("key.pub", vkey)
        self.chain_anew(change, signer=key)
        return {"--key"}

    def better_findings(self, signer: SigningKey | None) -> None:
        document = json.loads(self.files["findings.json"])
        measured = [item for item in document["findings"] if item["status"] == "measured"]
        self.random.choice(measured)["value"] = self.random.random()
        data = canonical_json(document)
        self.write("findings.json", data)

        def change(entries: list[dict[str, Any]]) -> None:
            entries[-1]["body"]["files"]["findings.json"] = sha256(data)

        self.chain_anew(change, signer=signer)

    def chain_anew(
        self,
        change: Callable[[list[dict[str, Any]]], None],
        *,
        signer: SigningKey | None,
        keep_signature: bool = False,
    ) -> None:
        """Write a consistent ledger with other entries, and a head that fits."""
        entries = [json.loads(line) for line in self.lines]
        change(entries)
        prev, lines = entries[0]["prev"], []
        for fields in entries:
            entry = Entry(**(fields | {"prev": prev}))
            prev = entry.digest
            lines.append(entry.line)
        self.put_lines(lines)
        head = Head(origin=origin_of("credit"), size=len(lines), root=tree_root(lines))
        note = format_head(head, signer)
        if keep_signature:
            note += self.files["head"].partition(b"\n\n")[2]
        (self.run / "head").write_bytes(note)


ATTACKS = [
    Attack.flip_a_bit, Attack.cut_a_file, Attack.add_bytes, Attack.exchange_bytes,
    Attack.swap_lines, Attack.take_out_a_line, Attack.double_a_line, Attack.remove_a_file,
    Attack.rename_a_file, Attack.rename_evidence, Attack.add_a_file, Attack.add_a_folder,
    Attack.link_softly, Attack.link_hard, Attack.put_in_another_runs_file,
    Attack.put_in_another_runs_record, Attack.replay_an_older_head, Attack.strip_the_signature,
    Attack.transplant_a_signature, Attack.write_a_line_another_way, Attack.change_an_entry,
    Attack.change_an_entry_and_chain_anew, Attack.better_findings_unsigned,
    Attack.better_findings_signed_by_another, Attack.seal_again_by_another,
]  # fmt: skip


@pytest.fixture
def attack(
    tmp_path: Path, runs: tuple[Files, Files], keys: tuple[SigningKey, SigningKey]
) -> Attack:
    made = Attack(tmp_path, runs, keys)
    made.restore()
    return made


def unseen_changes(
    attack: Attack, trusted: VerifyingKey, rounds: int
) -> list[tuple[str, Places, tuple[str, ...]]]:
    """Return the changes that were not found, or whose place was not named."""
    unseen: list[tuple[str, Places, tuple[str, ...]]] = []
    for number in range(rounds):
        make = ATTACKS[number % len(ATTACKS)]
        expected = make(attack)
        result = verify_run(attack.run, key=trusted)
        named = tuple(fault.where for fault in result.faults)
        if result.exit_code != 1 or not expected.intersection(named):
            unseen.append((make.__name__, expected, named))
        attack.restore()
    return unseen


def test_every_change_is_found_and_its_place_named(
    attack: Attack, keys: tuple[SigningKey, SigningKey]
) -> None:
    trusted = keys[0].verifying_key
    assert unseen_changes(attack, trusted, 20 * len(ATTACKS)) == []
    assert verify_run(attack.run, key=trusted).exit_code == 0


@pytest.mark.slow
def test_ten_thousand_changes_are_found_and_their_places_named(
    attack: Attack, keys: tuple[SigningKey, SigningKey]
) -> None:
    attack.random.seed(1)
    trusted = keys[0].verifying_key
    assert unseen_changes(attack, trusted, 10_000) == []
    assert verify_run(attack.run, key=trusted).exit_code == 0


def test_without_a_pinned_key_a_run_sealed_again_by_another_is_only_not_trusted(
    attack: Attack,
) -> None:
    """Exit code 3, never 0: whom to trust comes from outside."""
    head = check_integrity(attack.run).head_digest
    attack.seal_again_by_another()
    assert verify_run(attack.run).exit_code == 3
    assert [fault.where for fault in verify_run(attack.run, head=head).faults] == ["--head"]


def test_a_forgery_by_the_signer_is_found_by_the_head_alone(
    attack: Attack, keys: tuple[SigningKey, SigningKey]
) -> None:
    """Who has the key can write another history and sign it, with the ledger consistent.

    A record proves what its signer says. Whoever wrote down the head digest on the day of the
    audit (or had a witness or a timestamp sign it) sees the difference; nobody else can.
    """
    me = keys[0]
    head = check_integrity(attack.run).head_digest
    document = json.loads(attack.files["run.json"])
    document["seed_note"] = "another history"
    data = canonical_json(document)
    attack.write("run.json", data)

    def change(entries: list[dict[str, Any]]) -> None:
        entries[-1]["body"]["files"]["run.json"] = sha256(data)

    attack.chain_anew(change, signer=me)
    assert verify_run(attack.run, key=me.verifying_key).exit_code == 0
    pinned: Verification = verify_run(attack.run, key=me.verifying_key, head=head)
    assert pinned.exit_code == 1
    assert [fault.where for fault in pinned.faults] == ["--head"]


def test_even_the_signer_cannot_change_a_finding_without_its_statistic(
    attack: Attack, keys: tuple[SigningKey, SigningKey]
) -> None:
    attack.better_findings(keys[0])
    result = verify_run(attack.run, key=keys[0].verifying_key)
    assert result.exit_code == 1
    assert "findings.json" in {fault.where for fault in result.faults}
