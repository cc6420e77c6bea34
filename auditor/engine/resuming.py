"""A run that was interrupted, taken up again: what it was about, and what of it counts.

A process that is killed leaves a ledger that is whole up to its last entry. The user's script
begins again with ``resume=True`` and calls what it called before; what the run holds already is
held against it, and not recorded twice. With the state of a checkpoint the record goes back to the
moment at which the state was taken (an entry ``resumed``, see :mod:`auditor.ledger.resumed`);
without one, to the beginning of the training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from auditor.errors import InputError
from auditor.evidence import Finding, Stage, canonical_json, sha256
from auditor.ledger import (
    EVIDENCE,
    KEY,
    LEDGER,
    POLICY,
    VERDICT,
    Entry,
    Ledger,
    RunFolder,
    RunRecord,
    SigningKey,
    StateKind,
    read_ledger,
    state_of,
)
from auditor.ledger.commitments import RECORDS
from auditor.ledger.resumed import RESUMED, counting
from auditor.ledger.step_segment import STEPS

if TYPE_CHECKING:
    from auditor.checks import Check
    from auditor.ledger import Clock, LedgerWriter
    from auditor.policy import LoadedPolicy
    from auditor.stats import Statistic

__all__ = ["Resumption", "TakenUp", "open_folder"]

_ONCE = frozenset(
    {"data", "sources", RECORDS, "derivation", "derivation-groups", "base-model", "attach",
     "timestamp", "packages"}
)  # fmt: skip
"""What a script says again when it begins again; it is recorded once."""

_ANY_TIME = frozenset({"interrupted"})
_OF_A_TRAINING = ("attach", STEPS, "look")


class TakenUp:
    """What counts of a run at a moment: findings, statistics, and the last gate."""

    def __init__(self, path: Path, ledger: Ledger, *, entries: int) -> None:
        from auditor.verify.measurements import last_measurements
        from auditor.verify.recompute import Statistics, recompute_findings

        part = Ledger(tuple(ledger.entries[:entries]), tuple(ledger.lines[:entries]))
        record = RunRecord.of(path, part)
        statistics = Statistics(record)
        self.record, self.read = record, statistics
        self.findings: dict[tuple[str, Stage], list[Finding]] = {}
        self.statistics: dict[str, Statistic] = {}
        found = recompute_findings(record, statistics)
        for key, measurement in last_measurements(record).items():
            self.findings[key] = [f for f in found if (f.check, f.stage) == key]
            self.statistics |= {digest: statistics(digest) for digest in measurement.statistics}
        gates = counting(part, "gate")
        self.gate: Entry | None = gates[-1] if gates else None


class Resumption:
    """The record of an interrupted run, beside the :class:`Recording` that goes on with it."""

    def __init__(self, folder: RunFolder, ledger: LedgerWriter) -> None:
        self._folder, self._writer = folder, ledger
        self._before = self._read()
        self._settled = False
        self._matched = False
        self._noted = Counter(
            (entry.type, canonical_json(entry.body)) for entry in self._before.of_type(*_ONCE)
        )
        self._drop_unbound()
        self.taken_up = self._state_at(self._beginning())

    @property
    def started(self) -> str:
        """The moment of entry 0, to the second."""
        return f"{self._before.entries[0].time[:19]}Z"

    def check(
        self, *, policy: LoadedPolicy | None, key: SigningKey | None, seed: int,
        checks: Sequence[Check],
    ) -> None:  # fmt: skip
        """Raise :class:`InputError` that names what entry 0 registered otherwise."""
        first = self._before.entries[0].body
        registered = cast("Mapping[str, Any]", first.get("policy") or {})
        self._demand("policy", registered.get("digest"), None if policy is None else policy.digest)
        self._demand("seed", first.get("seed"), seed)
        self._demand("signer", first.get("signer"), None if key is None else str(key.verifying_key))
        specs = [check.spec() for check in checks]
        if canonical_json(first.get("checks")) != canonical_json(specs):
            known = [canonical_json(spec) for spec in cast("list[Any]", first.get("checks") or [])]
            other = [s["id"] for s in specs if canonical_json(s) not in known]
            raise self._differs("checks", f"{', '.join(map(str, other)) or 'one is missing'}")

    def match(self, details: Mapping[str, Any]) -> None:
        """Hold what would be registered against entry 0, the first time that it is said."""
        if not details or self._matched:
            return
        self._matched = True
        first = self._before.entries[0].body
        for name, noun in (("evaluation", "evaluation data"), ("records_key_root", "record key")):
            if name in details or name in first:
                self._demand(noun, first.get(name), details.get(name))

    def check_data(self, body: Mapping[str, Any]) -> None:
        """Raise :class:`InputError` where other data are given than those that are registered."""
        found = [e.body for e in self._before.of_type("data") if "target" in e.body]
        if not found:
            return
        registered, given = found[0], dict(body)
        tables = cast("dict[str, Any]", registered["tables"])
        for split in sorted({*tables, *given["tables"]}):
            digests = [side.get(split, {}).get("digest") for side in (tables, given["tables"])]
            self._demand(f"data of {split}=", *digests)
        for name in sorted({*registered, *given} - {"tables"}):
            ours, theirs = registered.get(name), given.get(name)
            if canonical_json(ours) != canonical_json(theirs):
                raise self._differs(f"field {name!r} of the data", str(theirs)[:200])

    @property
    def commits_to_ids(self) -> bool:
        """Whether entry 0 commits to the key of record ids."""
        return "records_key_root" in self._before.entries[0].body

    def check_records(self, body: Mapping[str, Any], *, root: str | None) -> None:
        """Raise :class:`InputError` where records would be committed to under another key.

        ``root`` is that of the key to which entry 0 commits, ``None`` where another entry does.
        """
        if root is not None:
            self._demand("record key", self._before.entries[0].body.get("records_key_root"), root)
        for entry in self._before.of_type(RECORDS):
            if entry.body.get("split") == body.get("split"):
                self._demand("record key", entry.body.get("root"), body.get("root"))

    def segments(self) -> list[int]:
        """Return the first steps of the segments that the run holds, whether they count or not."""
        return [int(entry.body["first"]) for entry in self._before.of_type(STEPS)]

    def measured(self, key: tuple[str, Stage]) -> bool:
        """Whether the data were measured by this check before the interruption."""
        return key[1] is Stage.DATA and key in self.taken_up.findings

    def admits(self, entry: str, body: Mapping[str, Any]) -> bool:
        """Whether an entry is to be written: it is new, and the run knows from where it goes on.

        The first entry that belongs to what is repeated ends the wait for a state: the training is
        begun again.
        """
        if entry in _ONCE:
            known = entry, canonical_json(dict(body))
            self._noted[known] -= 1
            return self._noted[known] < 0
        of_data = entry == "measurement" and body.get("stage") == str(Stage.DATA)
        if not self._settled and not of_data and entry not in _ANY_TIME:
            self._settled = True
            at = self._beginning() or self._writer.size
            self._writer.append(RESUMED, {"step": 0, "look": 0, "entries": at})
        return True

    def go_on(self, state: Mapping[str, Any], *, step: int, look: int) -> TakenUp:
        """Go back to the moment of a state, and say so in the ledger.

        Raises :class:`InputError` for a state that was not taken from this run.
        """
        entries, last = state.get("entries"), state.get("last")
        ledger = self._read()
        if (
            not isinstance(entries, int)
            or not 0 < entries <= len(ledger.lines)
            or sha256(ledger.lines[entries - 1]) != last
        ):
            raise InputError(
                "the state was not taken from this run", where=str(self._folder.path),
                valid="a checkpoint of this run, or resume=False and another run folder",
            )  # fmt: skip
        self._settled = True
        self._writer.append(RESUMED, {"step": step, "look": look, "entries": entries})
        self.taken_up = self._state_at(entries)
        return self.taken_up

    def _state_at(self, entries: int | None) -> TakenUp:
        ledger = self._read()
        taken_up = TakenUp(self._folder.path, ledger, entries=entries or len(ledger.lines))
        if taken_up.gate is None:
            self._folder.remove(VERDICT)
        return taken_up

    def _beginning(self) -> int | None:
        """Return where the training begins in the ledger; ``None`` where it has none."""
        for entry in self._before.of_type(*_OF_A_TRAINING, "measurement"):
            if entry.type in _OF_A_TRAINING or "look" in entry.body:
                return entry.seq
        return None

    def _read(self) -> Ledger:
        return read_ledger(self._writer.path)[0]

    def _drop_unbound(self) -> None:
        """Remove what was being written when the run was interrupted, and is bound by no entry."""
        self._folder.drop_staged()
        bound = {
            str(entry.body.get(name))
            for entry in self._before.of_type(RECORDS, STEPS)
            for name in ("file", "trace")
        }
        for path in (self._folder.path / EVIDENCE).glob("*.bin"):
            if f"{EVIDENCE}/{path.name}" not in bound:
                path.unlink()
        for path in self._folder.path.glob("report.*"):
            path.unlink()  # of a record that goes on

    def _demand(self, noun: str, registered: object, given: object) -> None:
        if canonical_json(registered) != canonical_json(given):
            raise self._differs(noun, str(given)[:200], valid=str(registered)[:200])

    def _differs(self, noun: str, given: str, *, valid: str | None = None) -> InputError:
        return InputError(
            f"the run cannot be resumed with another {noun} than it was begun with: {given}",
            where=str(self._folder.path / LEDGER), valid=valid or "what entry 0 registers",
        )  # fmt: skip


def open_folder(
    run: str | Path | None, temporary: Path | None, *, key: SigningKey | None, clock: Clock,
    resume: bool,
) -> tuple[RunFolder, LedgerWriter, Resumption | None]:  # fmt: skip
    """Make the folder of a run and its ledger, or take up those of an interrupted one.

    Raises :class:`InputError` where there is something else, and where a finished run would be
    resumed. One that was sealed and lacks the head alone is finished first.
    """
    if resume and run is None:
        raise InputError("nothing can be resumed without a run folder", valid="run=, a folder")
    path = temporary or Path(str(run)).expanduser()
    if not resume or state_of(path).kind is StateKind.FREE:
        folder = RunFolder.create(path)
        return folder, folder.writer(clock=clock), None
    folder = RunFolder.reopen(path)
    writer = folder.reopened_writer(clock=clock)
    try:
        if writer.sealed:
            folder.drop_staged()
            folder.seal(writer, key)
            RunFolder.reopen(path)  # says that it is finished
        if writer.first is None:  # interrupted before it began
            for name in (POLICY, KEY):
                folder.remove(name)
            folder.drop_staged()
            return folder, writer, None
        return folder, writer, Resumption(folder, writer)
    except BaseException:
        writer.close()
        raise
