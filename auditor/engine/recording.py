"""The recording of one run: measurements go in, evidence, findings and ledger entries come out."""

from __future__ import annotations

import logging
import secrets
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from auditor.checks import Check, Evidence, NotApplicable, NotMeasurable, Subject
from auditor.engine.looks import Looks
from auditor.engine.resuming import Resumption, open_folder
from auditor.errors import AuditorError, InputError
from auditor.evidence import (
    Finding,
    PolicyReference,
    Stage,
    Verdict,
    canonical_json,
    findings_document,
    sha256,
)
from auditor.ledger import (
    EVIDENCE,
    FINDINGS,
    VERDICT,
    Clock,
    Entry,
    SigningKey,
    utc_now,
)
from auditor.ledger.encoding import read_json
from auditor.ledger.layout import OPENINGS, SALTS
from auditor.ledger.openings import commit_document
from auditor.policy import LoadedPolicy, evaluate
from auditor.stats import Statistic
from auditor.version import __version__

__all__ = ["Recording"]

_LOG = logging.getLogger("auditor")


class Recording:
    """Everything that a run writes, in order: entry 0 first, the seal last.

    Parameters
    ----------
    run:
        The folder of the run; ``None`` records into a temporary one that goes with the recording.
    policy, key, seed, checks:
        What entry 0 registers before the first measurement.
    resume:
        Whether a run that was interrupted is taken up; see :mod:`auditor.engine.resuming`.
    """

    def __init__(
        self,
        run: str | Path | None,
        *,
        policy: LoadedPolicy | None,
        key: SigningKey | None,
        seed: int,
        checks: Sequence[Check],
        clock: Clock = utc_now,
        resume: bool = False,
    ) -> None:
        self.temporary = Path(tempfile.mkdtemp(prefix="auditor-")) / "run" if run is None else None
        self.policy, self.key, self.seed, self.checks = policy, key, seed, tuple(checks)
        self.clock = clock
        self.folder, self.ledger, self.resumption = open_folder(
            run, self.temporary, key=key, clock=clock, resume=resume
        )
        self.started = self.now()
        self.verdict: Verdict | None = None
        self.closed = False
        self.looks = Looks(policy)
        self._findings: dict[tuple[str, Stage], list[Finding]] = {}
        self._statistics: dict[str, Statistic] = {}
        self._pending: dict[tuple[str, Stage], tuple[Check, str]] = {}
        self._written = False
        self._early: list[tuple[str, Mapping[str, Any]]] = []
        self._late: list[tuple[str, Mapping[str, Any]]] = []
        if self.resumption is not None:
            self._take_up(self.resumption)

    @property
    def registered(self) -> bool:
        """Whether entry 0 is written: from then on, what is measured is what was announced."""
        return self.ledger.first is not None

    def register(self, **details: Any) -> Entry:
        """Return entry 0, written now if it was not: signer, policy, checks, seed and details.

        It is written at the latest before the first measurement. What was noted by
        :meth:`note_early` follows it.
        """
        if self.ledger.first is not None:
            if self.resumption is not None:
                self.resumption.match(details)
            return self.ledger.first
        first = self.folder.register(
            self.ledger,
            signer=None if self.key is None else self.key.verifying_key,
            policy=None if self.policy is None else reference_to(self.policy),
            policy_text=None if self.policy is None else self.policy.text.decode(),
            seed=self.seed,
            auditor=__version__,
            checks=[check.spec() for check in self.checks],
            **details,
        )
        for entry, body in self._early:
            self.ledger.append(entry, body)
        self._early.clear()
        return first

    @property
    def path(self) -> Path:
        """The folder of the run."""
        return self.folder.path

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings so far, in the order of stages and checks."""
        keys = sorted(self._findings, key=lambda key: (key[1].order, key[0]))
        return tuple(finding for key in keys for finding in self._findings[key])

    def recorded(self) -> dict[tuple[str, Stage], list[Finding]]:
        """Return the findings by check and stage."""
        return self._findings

    def statistic(self, digest: str) -> Statistic:
        """Return a statistic of this run by digest."""
        return self._statistics[digest]

    def note(self, entry: str, body: Mapping[str, Any]) -> None:
        """Append an entry to the ledger, after entry 0."""
        self.register()
        if self.resumption is None or self.resumption.admits(entry, body):
            self.ledger.append(entry, body)

    def note_late(self, entry: str, body: Mapping[str, Any]) -> None:
        """Append an entry now, or keep it for :meth:`write_late` where it cannot be written."""
        self._late.append((entry, dict(body)))
        try:
            self.write_late()
        except (AuditorError, OSError) as error:
            _LOG.warning("an entry (%s) could not be written yet: %s", entry, error)

    def write_late(self) -> None:
        """Append the entries that could not be written; raises :class:`RunError`."""
        while self._late:
            self.note(*self._late[0])
            del self._late[0]

    def note_early(self, entry: str, body: Mapping[str, Any]) -> None:
        """Append an entry, or keep it for when entry 0 is written: how data were prepared, say."""
        if self.registered:
            self.note(entry, body)
        else:
            self._early.append((entry, dict(body)))

    def measure(
        self,
        subject: Subject,
        *,
        look: int | None = None,
        data: Mapping[str, str] | None = None,
    ) -> tuple[Finding, ...]:
        """Run the checks of the subject's stage and record what they give.

        ``data`` are the digests, by split, of the tables that are measured.

        A check that is about something else records nothing. One with nothing to measure is
        remembered, and recorded as not evaluated unless it is
        measured before the run ends. A check that breaks is recorded as an error and breaks
        nothing. Input that cannot be used raises :class:`InputError`.
        """
        self.register()
        found: list[Finding] = []
        for check in self.checks:
            if subject.stage not in check.stages:
                continue
            key = (check.id, subject.stage)
            if self.resumption is not None and self.resumption.measured(key):
                found += self._findings[key]
                continue
            try:
                statistics = check.measure(subject)
            except NotApplicable:
                continue
            except NotMeasurable as reason:
                if key not in self._findings:
                    self._pending[key] = (check, str(reason))
                continue
            except InputError:
                raise
            except Exception as error:  # noqa: BLE001 -- a broken check must not break the training
                found += self._record(check, subject.stage, [], look, data=data,
                                      error=f"{type(error).__name__}: {error}")  # fmt: skip
                continue
            found += self._record(check, subject.stage, statistics, look, data=data)
        return tuple(found)

    def judge(self, stage: Stage, *, only_stage: bool = False) -> Verdict | None:
        """Judge the findings so far by the registered policy; ``None`` without one."""
        if self.policy is None:
            return None
        return evaluate(
            self.policy,
            self.findings,
            self.statistic,
            evaluated_at=self.now(),
            seed=self.seed,
            stage=stage,
            registered=True,
            only_stage=only_stage,
            looks=self.looks.taken,
            earlier=self.looks.after,
            faults=self.looks.faults,
        )

    def settle(self) -> None:
        """Record what was never measured at the stages that were audited, with the reasons."""
        self.register()
        for (_, stage), (check, reason) in sorted(self._pending.items()):
            self._record(check, stage, [], None, reason=reason)
        self._pending.clear()

    def write_findings(self) -> None:
        """Write ``findings.json``, unless it holds these findings already."""
        if self._written:
            return
        self._written = True
        self.write_json("findings.json", findings_document(self.folder.name, self.findings))

    def write_verdict(self, verdict: Verdict) -> str:
        """Write ``verdict.json``; return its digest."""
        self.verdict = verdict
        return self.write_json("verdict.json", verdict.to_json())

    def write_json(self, name: str, document: Any) -> str:
        """Write a canonical JSON file into the run; return its digest."""
        data = canonical_json(document)
        self.folder.write(name, data)
        return sha256(data)

    def interrupt(self, reason: str) -> None:
        """End without a seal: the ledger stays valid and says why it stops."""
        if not self.closed:
            self.closed = True
            try:
                self.note("interrupted", {"reason": reason})
            finally:
                self.ledger.close()
                self._drop_temporary()

    def discard(self) -> None:
        """Remove a run that was not sealed; a sealed one is kept."""
        if self.folder.sealed:
            return
        self.closed = True
        self.ledger.close()
        shutil.rmtree(self.path, ignore_errors=True)
        self._drop_temporary()

    def seal(self) -> None:
        """Bind every file and close the run; a temporary run is removed."""
        if not self.closed:
            self.register()
            if self.temporary is None:
                self._commit_rows()
            self.closed = True
            self.folder.seal(self.ledger, self.key)
            self._drop_temporary()

    def _commit_rows(self) -> None:
        """Commit to the rows of every document, so that a redacted copy can show some of them."""
        seed = secrets.token_bytes(32)
        self.write_json(SALTS, {"schema": "auditor/salts/v1", "seed": seed.hex()})
        committed: dict[str, Any] = {}
        for path in sorted(self.path.rglob("*.json")):
            name = path.relative_to(self.path).as_posix()
            if name in (FINDINGS, VERDICT) or name.startswith(f"{EVIDENCE}/"):
                found = commit_document(name, read_json(path.read_bytes()), seed)
                committed |= {} if found is None else {name: found}
        if committed:
            self.note(OPENINGS, {"documents": committed})

    def _record(
        self,
        check: Check,
        stage: Stage,
        statistics: Sequence[Statistic],
        look: int | None,
        *,
        data: Mapping[str, str] | None = None,
        reason: str | None = None,
        error: str | None = None,
    ) -> list[Finding]:
        self._written = False
        evidence: list[Evidence] = []
        findings: list[Finding] = []
        for statistic in statistics:
            digest = self.folder.put_evidence(statistic.to_json())
            self._statistics[digest] = statistic
            evidence.append(Evidence(digest, statistic))
        if reason is None and error is None:
            try:
                findings = check.derive(evidence, stage)
            except InputError:
                raise
            except Exception as broken:  # noqa: BLE001 -- as in measure
                error = f"{type(broken).__name__}: {broken}"
        if reason is not None or error is not None:
            findings = check.unmeasured(error or reason or "", stage, error=error is not None)
        body: dict[str, Any] = {
            "stage": str(stage),
            "check": check.spec(),
            "statistics": [item.digest for item in evidence],
            "findings": len(findings),
        }
        optional = {"look": look, "data": data, "reason": reason, "error": error}
        for name, value in optional.items():
            if value is not None:
                body[name] = value
        self.note("measurement", body)
        self._findings[(check.id, stage)] = findings
        if look is not None:
            self.looks.keep(stage, look, check.id, findings)
        self._pending.pop((check.id, stage), None)
        return findings

    def state_dict(self) -> dict[str, Any]:
        """Return where the record stands, for a checkpoint: numbers and text alone."""
        last = self.ledger.last
        return {
            "entries": self.ledger.size,
            "last": None if last is None else last.digest,
            "pending": [
                [check, str(stage), reason] for (check, stage), (_, reason) in self._pending.items()
            ],
        }

    def go_on(self, state: Mapping[str, Any], *, step: int, look: int) -> Entry | None:
        """Go back, in a run that is resumed, to where :meth:`state_dict` was; the last gate then.

        Nothing happens in a run that is not resumed. Raises :class:`InputError` for a state that
        was not taken from this run.
        """
        if self.resumption is None:
            return None
        taken_up = self.resumption.go_on(state, step=step, look=look)
        self._findings, self._statistics = dict(taken_up.findings), dict(taken_up.statistics)
        self.looks.restore(taken_up.record, taken_up.read)
        checks = {check.id: check for check in self.checks}
        self._pending = {
            (check, Stage(stage)): (checks[check], reason)
            for check, stage, reason in state.get("pending", ())
            if check in checks
        }
        self._written = False
        return taken_up.gate

    def _take_up(self, resumption: Resumption) -> None:
        try:
            resumption.check(policy=self.policy, key=self.key, seed=self.seed, checks=self.checks)
        except InputError:
            self.ledger.close()
            raise
        self.started = resumption.started
        self._findings = dict(resumption.taken_up.findings)
        self._statistics = dict(resumption.taken_up.statistics)
        self.looks.restore(resumption.taken_up.record, resumption.taken_up.read)

    def now(self) -> str:
        """Return the present moment, in UTC."""
        return self.clock().strftime("%Y-%m-%dT%H:%M:%SZ")

    def _drop_temporary(self) -> None:
        if self.temporary is not None:
            shutil.rmtree(self.temporary.parent, ignore_errors=True)


def reference_to(policy: LoadedPolicy) -> PolicyReference:
    """Return what a record says of a policy: its id, version and digest."""
    return PolicyReference(
        id=policy.policy.id, version=str(policy.policy.version), digest=policy.digest
    )
