"""What every audit is, whatever it measures: a run that is registered, judged, reported, sealed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from auditor.checks import Check
from auditor.engine.looks import stopping
from auditor.engine.plan import make_plan
from auditor.engine.promotion import CheckpointDecision, Promotion
from auditor.engine.ranks import Ranks
from auditor.errors import AuditorError, GateClosed, InputError
from auditor.evidence import Finding, Stage, Verdict, sha256
from auditor.ledger import Entry, RunRecord, signing_key_from
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
        resume: bool = False,
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
            resume=resume,
        )
        self._settings: dict[str, Any] = {}
        self._packages: str | None = None
        self._base_flops: float | None = None
        self._judged: tuple[Stage, object] | None = None
        self._promotion = Promotion(self._recording)
        if self._recording.resumption is not None:
            self._judged = _judged_by(self._recording.resumption.taken_up.gate)

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

        ``checkpoint`` is the file or folder of the model that is judged: its digest goes into the
        record. It is never unpickled, and stays where it is. Where the gate is open it gets its
        manifest, which :func:`auditor.load_checkpoint` insists on, and loses one where it is not.
        An error of the audit closes the gate, or is raised where nothing can be recorded.
        """
        at = stage_named(stage)
        promotion = self._promotion
        if checkpoint is not None:
            promotion.describe(checkpoint)
        self._recording.settle()
        self._recording.write_late()
        verdict = self._recording.judge(at)
        if verdict is None:
            if checkpoint is not None:
                promotion.certify(checkpoint, None)
                self._sign_model(checkpoint)
            return None
        self._judged = (at, self._measured())
        digest = self._recording.write_verdict(verdict)
        self._recording.note(
            "gate",
            {"stage": str(at), "status": str(verdict.status), "gate": verdict.gate,
             "verdict": digest},
        )  # fmt: skip
        promotion.after_gate(checkpoint, verdict)
        if checkpoint is not None and verdict.gate == "open":
            self._sign_model(checkpoint)
        return verdict

    def checkpoint(
        self,
        path: str | Path,
        save: Callable[[Path], object] | None = None,
        *,
        required: bool = True,
        move: bool = True,
        step: int | None = None,
    ) -> CheckpointDecision:
        """Promote a checkpoint of the training where the rules of the latest look let it through.

        First ``save`` writes the checkpoint, a file or a folder, to the place that it is given:
        beside ``path``, under a name that no loader picks up. Then the rules of the stages
        ``training`` and ``checkpoint`` judge what was measured. Where the gate is open, the
        checkpoint is put at ``path`` in one step and, last, gets its manifest, signed where the
        audit has a key; :func:`auditor.load_checkpoint` refuses what has none. Where it is closed
        the checkpoint goes to ``quarantine/`` beside ``path`` with a note that says why, and what
        was at ``path`` before stays. A rule that only warns stands in the manifest.

        Without ``save`` a trainer wrote ``path`` already, and it is judged where it lies: it gets
        its manifest, or is moved to quarantine; with ``move=False`` it stays, without a manifest.
        In a distributed training all ranks write, one calls this after a barrier, without ``save``,
        and tells the others.

        Every decision is in the ledger. An error of the audit breaks nothing and promotes nothing:
        the checkpoint goes to quarantine, or stays at ``path`` without a manifest where the gate is
        not ``required``. Errors of ``save`` are raised as they come, and leave ``path`` as it was.

        A process that ends in between leaves nothing, a staging place (which the next call for
        ``path`` removes), or a checkpoint without a manifest. Only one process at a time may write
        a ``path``.

        Raises :class:`GateClosed` where a rule that fails says ``stop`` (its ``decision`` is what
        this would have returned), and :class:`InputError` where ``path`` cannot be written or
        ``save`` wrote nothing, or something else.
        """
        return self._promotion(path, save, required=required, move=move, step=step)

    def base_model(
        self,
        source: str | Path,
        *,
        licence: str | None = None,
        training_data: str | Sequence[str] | None = None,
        name: str | None = None,
        compute: float | None = None,
    ) -> Mapping[str, Any]:
        """Record the model that is fine-tuned: a checkpoint, or a folder as the hub lays it out.

        Its digest, licence and stated training data, its tokenizer and adapters go into the record
        and into the statement about the training; weights are never unpickled. What its model card
        does not state is unknown unless it is given here: ``compute`` are the operations (FLOP) of
        its training, of which this one is then a share. Raises :class:`InputError`.
        """
        manifest = base_model_manifest(
            source, licence=licence, training_data=training_data, name=name, compute=compute
        )
        self._base_flops = manifest["compute"]["flop"]
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

    def _go_on(self, state: Mapping[str, Any], *, step: int, look: int) -> None:
        """Go back, in a run that is resumed, to the moment at which a state was taken."""
        if self._recording.resumption is not None:
            self._judged = _judged_by(self._recording.go_on(state, step=step, look=look))

    def _flush(self) -> None:
        """Record what a loop has gathered since the last time."""

    def _see_unlooked(self) -> None:
        """Measure a training at which nobody looked."""

    def _cost(self) -> dict[str, Any] | None:
        """Return what observing a training loop cost, where one was observed."""
        return None

    def _judge_look(self, look: int) -> Verdict | None:
        """Judge the rules of a look during training, and record what they say.

        Raises :class:`GateClosed` where one that fails says ``stop``.
        """
        looks = self._recording.looks
        failed = looks.faults.pop(str(Stage.TRAINING), None)
        verdict = self._recording.judge(Stage.TRAINING, only_stage=True)
        if verdict is None or not (verdict.rules or failed):
            return verdict
        looks.done(
            self._recording,
            {
                "stage": str(Stage.TRAINING), "look": look, "status": str(verdict.status),
                "gate": verdict.gate,
            },
        )  # fmt: skip
        stops = stopping(verdict.rules)
        if stops:
            raise GateClosed(
                f"the policy stops the training at look {look}: {stops[0].reason}", verdict
            )
        return verdict

    def _measured(self) -> object:
        """Return everything that a verdict stands on."""
        return self.findings, self._recording.looks.state()

    def _finish(self) -> None:
        """Bring the files of the run up to what was measured."""
        recording = self._recording
        self._flush()
        self._see_unlooked()
        recording.settle()
        recording.write_late()
        if self._judged is not None and self._judged[1] != self._measured():
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


def _judged_by(gate: Entry | None) -> tuple[Stage, tuple[Finding, ...]] | None:
    """Return what is left of a gate before an interruption: that it has to judge again."""
    return None if gate is None else (stage_named(str(gate.body.get("stage"))), ())


def stage_named(name: str) -> Stage:
    """Return a stage by its name; raises :class:`InputError`."""
    try:
        return Stage(name)
    except ValueError:
        raise InputError(f"unknown stage {name!r}", valid=", ".join(Stage)) from None
