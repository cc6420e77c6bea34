"""What every audit is, whatever it measures: a run that is registered, judged, reported, sealed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from auditor.checks import Check
from auditor.engine.plan import make_plan
from auditor.engine.ranks import Ranks
from auditor.errors import AuditorError, GateClosed, InputError
from auditor.evidence import Finding, Stage, Verdict, sha256
from auditor.ledger import RunRecord, signing_key_from
from auditor.ledger.layout import STATEMENTS
from auditor.ledger.model_key import model_key_beside
from auditor.ledger.model_signing import write_model_signature
from auditor.ledger.statements import statements_of
from auditor.ledger.timestamp import (
    ENTRY_0_STAMP,
    Timestamp,
    read_response,
    read_timestamp,
    timestamp_request,
)
from auditor.policy import LoadedPolicy, load_policy
from auditor.provenance import (
    base_model_manifest,
    checkpoint_manifest,
    environment,
    packages_manifest,
)
from auditor.verify.standalone import standalone_source
from auditor.version import __version__

__all__ = ["AuditedRun", "stage_named"]


class AuditedRun:
    """A run from its registration to its seal; :class:`Audit` adds what is measured."""

    def __init__(
        self,
        policy: str | Path | LoadedPolicy | None,
        run: str | Path | None,
        *,
        seed: int,
        key: str | Path | None,
        checks: Sequence[Check],
        system: Mapping[str, Any] | None,
        key_note: str | None,
    ) -> None:
        self.policy = (
            policy if policy is None or isinstance(policy, LoadedPolicy) else load_policy(policy)
        )
        self.seed = seed
        self._system = dict(system) if system else None
        self._key_note = key_note
        self._key = key
        self._ranks = Ranks()
        self._recording = self._ranks.recording(
            run,
            policy=self.policy,
            key=signing_key_from(key) if self._ranks.leads else None,
            seed=seed,
            checks=make_plan(self.policy, checks),
        )
        self._settings: dict[str, Any] = {}
        self._packages: str | None = None
        self._judged: tuple[Stage, tuple[Finding, ...]] | None = None

    @property
    def run(self) -> Path:
        """The run folder."""
        return self._recording.path

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings so far."""
        return self._recording.findings

    @property
    def verdict(self) -> Verdict | None:
        """The verdict of the last gate."""
        return self._recording.verdict

    def finding(self, metric: str, *, stage: str | None = None, **slice_: str | None) -> Finding:
        """Return the one finding of a metric for a slice (``finding("auc", sex="F")``)."""
        found = [
            finding for finding in self.findings
            if finding.metric == metric and dict(finding.slice) == slice_
            and finding.over is None and (stage is None or finding.stage == stage)
        ]  # fmt: skip
        if len(found) != 1:
            raise InputError(f"{len(found)} findings of {metric!r} for {slice_ or 'everybody'}")
        return found[0]

    def gate(
        self, stage: str = "pre-deployment", *, checkpoint: str | Path | None = None
    ) -> Verdict | None:
        """Judge everything measured so far; writes ``verdict.json``. ``None`` without a policy.

        ``checkpoint`` is the file of the model that is judged: its digest goes into the record. It
        is never unpickled.
        """
        at = stage_named(stage)
        if checkpoint is not None:
            self._recording.note("checkpoint", checkpoint_manifest(checkpoint))
        self._recording.settle()
        verdict = self._judge(at)
        if verdict is None:
            if checkpoint is not None:
                self._sign_model(checkpoint)
            return None
        self._judged = (at, self.findings)
        digest = self._recording.write_verdict(verdict)
        self._recording.note(
            "gate",
            {"stage": str(at), "status": str(verdict.status), "gate": verdict.gate,
             "verdict": digest},
        )  # fmt: skip
        if checkpoint is not None and verdict.gate == "open":
            self._sign_model(checkpoint)
        return verdict

    def base_model(
        self,
        source: str | Path,
        *,
        licence: str | None = None,
        training_data: str | Sequence[str] | None = None,
        name: str | None = None,
    ) -> Mapping[str, Any]:
        """Record the model that is fine-tuned: a checkpoint, or a folder as the hub lays it out.

        Its digest, licence and stated training data, its tokenizer and adapters go into the record
        and into the statement about the training; weights are never unpickled. What its model card
        does not state is unknown unless it is given here. Raises :class:`InputError`.
        """
        manifest = base_model_manifest(
            source, licence=licence, training_data=training_data, name=name
        )
        self._recording.note_early("base-model", manifest)
        return manifest

    def timestamp_request(self) -> bytes:
        """Return an RFC 3161 request for entry 0, to be sent to an authority of your choice.

        Entry 0 is written now if it was not: register the data before, if they are to be in it.
        """
        return timestamp_request(self._recording.register().digest)

    def timestamp(self, response: str | Path) -> Timestamp:
        """Take the authority's response for entry 0 into the run (a file, as it was sent).

        It shows that policy, checks and evaluation data were registered before that moment, to
        whoever trusts the authority. Raises :class:`InputError` for a response to something else.
        """
        digest = self._recording.register().digest
        data = read_response(response)
        found = read_timestamp(data, digest, where=str(response))
        self._recording.folder.write(ENTRY_0_STAMP, data)
        self._recording.note(
            "timestamp",
            {"file": ENTRY_0_STAMP, "digest": sha256(data), "of": digest, "time": found.time,
             "tsa": found.tsa},
        )  # fmt: skip
        return found

    def _sign_model(self, checkpoint: str | Path) -> None:
        """Sign the model that went through the gate, where there is a key for models.

        The signature lies beside the checkpoint as ``<checkpoint>.sig``, and in the run.
        """
        key = model_key_beside(self._key)
        if key is None:
            return
        signature = write_model_signature(checkpoint, key)
        name = f"{STATEMENTS}/{signature.name}"
        data = signature.read_bytes()
        self._recording.folder.write(name, data)
        self._recording.note(
            "model-signature",
            {"file": name, "digest": sha256(data), "key": key.verifying_key.hint},
        )

    def report(self, *names: str) -> tuple[Path, ...]:
        """Write reports into the run folder, by the suffix of each name (``report.html``)."""
        from auditor.report import write_reports

        self._finish()
        return write_reports(self._recording.folder, names or ("report.html",))

    def remarks(self) -> tuple[str, ...]:
        """Return what the numbers mean together: reversals, and ways out of a closed gate."""
        from auditor.report.remarks import make_remarks
        from auditor.report.view import read_policy

        self._finish()
        record = RunRecord.load(self.run)
        return make_remarks(record, self.findings, self.verdict, read_policy(record))

    def close(self) -> None:
        """Write what is left and seal the run; nothing is written to it after this."""
        if self._recording.closed:
            return
        self.detach()
        self._finish()
        self._recording.seal()

    def discard(self) -> None:
        """Take an unsealed run folder away again, as if nothing had been begun."""
        self._recording.discard()

    @property
    def signed(self) -> bool:
        """Whether the run is, or will be, signed."""
        return self._recording.key is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, GateClosed):
            self.close()
            return
        self.detach()
        # The run keeps what it has: the ledger is valid and says where and why it stops.
        with contextlib.suppress(AuditorError):
            self._recording.interrupt(type(error).__name__)

    def detach(self) -> None:
        """Take every hook off the user's objects."""

    def _flush(self) -> None:
        """Record what a loop has gathered since the last time."""

    def _cost(self) -> dict[str, Any] | None:
        """Return what observing a training loop cost, where one was observed."""
        return None

    def _look_counts(self) -> dict[str, int]:
        """Return how often each stage was looked at."""
        return {}

    def _judge(self, stage: Stage, *, only_stage: bool = False) -> Verdict | None:
        return self._recording.judge(stage, only_stage=only_stage, looks=self._look_counts())

    def _judge_look(self, look: int) -> Verdict | None:
        """Judge the rules of a look during training, and record what they say.

        Raises :class:`GateClosed` where one that fails says ``stop``.
        """
        verdict = self._judge(Stage.TRAINING, only_stage=True)
        if verdict is None or not verdict.rules:
            return verdict
        self._recording.note(
            "look",
            {
                "stage": str(Stage.TRAINING), "look": look, "status": str(verdict.status),
                "gate": verdict.gate,
            },
        )  # fmt: skip
        stops = [rule for rule in verdict.rules if rule.closes_gate and rule.on_fail == "stop"]
        if stops:
            raise GateClosed(
                f"the policy stops the training at look {look}: {stops[0].reason}", verdict
            )
        return verdict

    def _finish(self) -> None:
        """Bring the files of the run up to what was measured."""
        recording = self._recording
        self._flush()
        recording.settle()
        if self._judged is not None and self._judged[1] != self.findings:
            # Something was measured after the gate: a verdict speaks of all that is recorded.
            self.gate(self._judged[0])
        recording.write_findings()
        self._write_run_json()
        if recording.temporary is None:
            if self._packages is None:
                self._packages = recording.folder.put_evidence(packages_manifest())
                recording.note("packages", {"evidence": self._packages})
            record = RunRecord.load(self.run)
            for name, data in statements_of(record, recording.key).items():
                recording.folder.write(name, data)
            recording.folder.write("verify.py", standalone_source())

    def _write_run_json(self) -> None:
        recording = self._recording
        recording.write_json(
            "run.json",
            {
                "schema": "auditor/run/v1",
                "run": recording.folder.name,
                "started": recording.started,
                "finished": recording.now(),
                "seed": self.seed,
                "auditor": __version__,
                **environment(),
                "governor": self._cost(),
                "system": self._system,
                "key_note": self._key_note,
                "audit": self._settings,
            },
        )


def stage_named(name: str) -> Stage:
    """Return a stage by its name; raises :class:`InputError`."""
    try:
        return Stage(name)
    except ValueError:
        raise InputError(f"unknown stage {name!r}", valid=", ".join(Stage)) from None
