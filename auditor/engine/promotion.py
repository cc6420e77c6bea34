"""A checkpoint goes through a gate, or into quarantine: write, judge, then one signed manifest."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from auditor.engine.looks import stopping
from auditor.engine.recording import Recording
from auditor.engine.staging import Staging, quarantine, withdraw
from auditor.errors import CheckpointError, GateClosed, InputError, one_line
from auditor.evidence import Stage, Status, Value, Verdict, worst
from auditor.ledger.checkpoint_files import FileDigests, file_digests, manifest_path, set_digest
from auditor.ledger.checkpoint_manifest import (
    CheckpointManifest,
    JudgedRule,
    LedgerPosition,
    encode_manifest,
)
from auditor.ledger.storage import write_atomically
from auditor.provenance import checkpoint_manifest
from auditor.version import __version__

__all__ = ["CheckpointDecision", "Promotion"]

_LOG = logging.getLogger("auditor")
_STAGES = (Stage.TRAINING, Stage.CHECKPOINT)
FOLDER_METHOD = "sha256-of-file-digests-1"


class CheckpointDecision(Value):
    """What became of a checkpoint.

    ``promoted``: it lies at ``path`` with its ``manifest``. ``quarantined``: it was moved to
    ``path``. ``refused``: it lies at ``path`` without a manifest. ``reasons`` say why it was not
    promoted, ``warnings`` what else the rules said. ``status`` is the verdict; ``None``: there is
    no policy.
    """

    decision: Literal["promoted", "quarantined", "refused"]
    path: Path
    manifest: Path | None = None
    status: Status | None = None
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    look: int | None = None
    step: int | None = None

    @property
    def promoted(self) -> bool:
        """Whether it went through the gate."""
        return self.decision == "promoted"


@dataclass(frozen=True)
class _Case:
    """A checkpoint, its files, and what is said of it; ``error``: the audit itself failed."""

    name: str
    step: int | None
    look: int | None
    files: tuple[FileDigests, ...] = ()
    folder: bool = False
    verdict: Verdict | None = None
    error: str | None = None
    stages: tuple[Stage, ...] = field(default=_STAGES)

    @property
    def open(self) -> bool:
        return self.error is None and (self.verdict is None or self.verdict.gate == "open")

    @property
    def broken(self) -> bool:
        """Whether it is an error of the audit that closes the gate, and no rule that fails."""
        if self.error is not None:
            return True
        closing = [rule for rule in self.verdict.rules if rule.closes_gate] if self.verdict else []
        return bool(closing) and all(rule.status is Status.ERROR for rule in closing)

    @property
    def status(self) -> Status | None:
        if self.error is not None:
            return Status.ERROR
        return None if self.verdict is None else self.verdict.status

    def says(self, *, closing: bool) -> tuple[str, ...]:
        """Return what the rules say that close the gate, or the others that do not pass."""
        rules = () if self.verdict is None else self.verdict.rules
        said = tuple(
            f"{rule.id}: {rule.status}: {rule.reason}" for rule in rules
            if rule.closes_gate is closing and rule.status not in (Status.PASS, Status.WAIVED)
        )  # fmt: skip
        failed = () if self.error is None or not closing else (f"the audit failed: {self.error}",)
        return failed + said

    def described(self) -> dict[str, Any]:
        """Return what the ledger says of the files."""
        found: dict[str, Any] = {"file": self.name, "files": len(self.files)}
        if not self.files:
            return found
        found["bytes"] = sum(file.bytes for file in self.files)
        if self.folder:
            return found | {
                "format": "folder", "digest": set_digest(self.files), "method": FOLDER_METHOD,
            }  # fmt: skip
        (file,) = self.files
        return found | {
            "format": Path(self.name).suffix.lstrip(".") or "file",
            "digest": f"blake3:{file.blake3}", "digests": [f"sha256:{file.sha256}"],
        }  # fmt: skip


class Promotion:
    """Decides about the checkpoints of one run; see ``Audit.checkpoint``."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._gated: Path | None = None
        self._described: tuple[FileDigests, ...] = ()

    def __call__(
        self,
        path: str | Path,
        save: Callable[[Path], object] | None,
        *,
        required: bool,
        move: bool,
        step: int | None,
    ) -> CheckpointDecision:
        """Write, judge, and promote or not."""
        target = Path(path).expanduser()
        if target.name in ("", ".."):
            raise InputError("no name of a checkpoint", where=str(path), valid="out/checkpoint-500")
        if save is None:
            if not os.path.lexists(target):
                raise InputError("no such checkpoint", where=str(path), valid="save=, or its path")
            staging = None
        else:
            staging = Staging.open(target)
            _write(staging, save)
        here = target if staging is None else staging.path
        case = self._judged(here, target, step=step)
        if case.open:
            case, decision = self._promote(case, target, staging)
            if decision is not None:
                return decision
            here = here if os.path.lexists(here) else target
        stays = (case.broken and not required) or (save is None and not move)
        return self._shut(case, target, here, staging, stays=stays)

    # -- for the gate of a stage ----------------------------------------------------------------

    def describe(self, checkpoint: str | Path) -> None:
        """Record the checkpoint that a gate is about, and take away the manifest that it has."""
        path = Path(checkpoint).expanduser()
        if path.is_dir():
            files = file_digests(path, durable=True)
            body = _Case(path.name, None, None, files, folder=True).described()
        else:
            body = checkpoint_manifest(path)
            files = file_digests(path, durable=True)
            if body["digests"] != [f"sha256:{files[0].sha256}"]:
                raise CheckpointError("the file changed while it was read", where=str(checkpoint))
        withdraw(path)
        self._gated, self._described = path, files
        self._recording.note("checkpoint", body)

    def after_gate(self, checkpoint: str | Path | None, verdict: Verdict) -> None:
        """Write the manifest where the gate is open, take it away where it is not."""
        if verdict.gate == "open" and checkpoint is not None:
            self.certify(checkpoint, verdict)
        elif verdict.gate == "closed" and self._gated is not None:
            withdraw(self._gated)

    def certify(self, checkpoint: str | Path, verdict: Verdict | None) -> None:
        """Write the manifest of what :meth:`describe` recorded."""
        path = Path(checkpoint).expanduser()
        stages = () if verdict is None else (verdict.stage,)
        case = _Case(path.name, None, self._look(), self._described, path.is_dir(), verdict,
                     stages=stages)  # fmt: skip
        if file_digests(path) != self._described:
            raise CheckpointError("it changed while it was judged", where=str(checkpoint))
        self._write_manifest(case, path)

    # -- inside ---------------------------------------------------------------------------------

    def _judged(self, here: Path, target: Path, *, step: int | None) -> _Case:
        case = _Case(target.name, step, self._look(), folder=here.is_dir())
        try:
            if here == target:
                withdraw(target)
            case = replace(case, files=file_digests(here, durable=True))
            self._recording.write_late()
            return replace(case, verdict=self._verdict())
        except Exception as error:  # noqa: BLE001 -- whatever it is, the training goes on
            return replace(case, error=_text(error))

    def _verdict(self) -> Verdict | None:
        verdicts = [self._recording.judge(stage, only_stage=True) for stage in _STAGES]
        found = [verdict for verdict in verdicts if verdict is not None]
        if not found:
            return None
        rules = tuple({rule.id: rule for verdict in found for rule in verdict.rules}.values())
        return found[-1].model_copy(
            update={
                "rules": rules, "status": worst(rule.status for rule in rules),
                "gate": "closed" if any(rule.closes_gate for rule in rules) else "open",
            }
        )  # fmt: skip

    def _promote(
        self, case: _Case, target: Path, staging: Staging | None
    ) -> tuple[_Case, CheckpointDecision | None]:
        """Put a checkpoint in its place and write its manifest; an error goes into the case."""
        try:
            self._recording.note("checkpoint", self._body(case, "promoted"))
            if staging is not None:
                staging.place()
            manifest = self._write_manifest(case, target)
        except Exception as error:  # noqa: BLE001 -- as in _judged
            return replace(case, error=_text(error)), None
        if staging is not None:
            staging.drop()
        for warning in case.says(closing=False):
            _LOG.warning("checkpoint %s is promoted with a warning: %s", case.name, warning)
        return case, CheckpointDecision(
            decision="promoted", path=target, manifest=manifest, status=case.status,
            warnings=case.says(closing=False), look=case.look, step=case.step,
        )  # fmt: skip

    def _shut(
        self, case: _Case, target: Path, here: Path, staging: Staging | None, *, stays: bool
    ) -> CheckpointDecision:
        reasons = case.says(closing=True)
        decision: Literal["quarantined", "refused"] = "refused"
        try:
            if not stays:
                here = quarantine(here, target, _note(case, target, reasons))
                decision = "quarantined"
            elif staging is not None and here != target:
                withdraw(target)
                staging.place()
                here = target
        except Exception as error:  # noqa: BLE001 -- as in _judged
            reasons += (f"it could not be moved: {_text(error)}",)
        if staging is not None and here != staging.path:
            staging.drop()
        self._recording.note_late(
            "checkpoint", self._body(case, decision) | {"reasons": list(reasons)}
        )
        _LOG.warning("checkpoint %s is not promoted: %s", case.name, "; ".join(reasons))
        made = CheckpointDecision(
            decision=decision, path=here, status=case.status, reasons=reasons,
            warnings=case.says(closing=False), look=case.look, step=case.step,
        )  # fmt: skip
        stops = stopping(case.verdict.rules) if case.verdict is not None else []
        if stops:
            raise GateClosed(
                f"the policy stops the training at checkpoint {case.name}: {stops[0].reason}",
                case.verdict, decision=made,
            )  # fmt: skip
        return made

    def _body(self, case: _Case, decision: str) -> dict[str, Any]:
        body = case.described() | {"decision": decision, "look": case.look, "step": case.step}
        if case.status is not None:
            body["status"] = str(case.status)
        if case.verdict is not None:
            body["rules"] = [rule.model_dump(mode="json") for rule in _rules(case)]
        warnings = case.says(closing=False)
        return body | ({"warnings": list(warnings)} if warnings else {})

    def _write_manifest(self, case: _Case, path: Path) -> Path:
        recording = self._recording
        first, last = recording.register(), recording.ledger.last or recording.register()
        key = recording.key
        manifest = CheckpointManifest(
            name=case.name, kind="folder" if case.folder else "file", files=case.files,
            run=recording.folder.name,
            ledger=LedgerPosition(
                entry=last.seq, digest=last.digest, root=f"sha256:{recording.ledger.root().hex()}",
                registration=first.digest,
            ),
            policy=None if recording.policy is None else recording.policy.reference,
            status=case.status, stages=case.stages, rules=_rules(case),
            warnings=case.says(closing=False), look=case.look, step=case.step,
            time=recording.now(), auditor=__version__,
            key=None if key is None else str(key.verifying_key),
        )  # fmt: skip
        place = manifest_path(path)
        write_atomically(place, encode_manifest(manifest, key))
        return place

    def _look(self) -> int | None:
        taken: Mapping[str, int] = self._recording.looks.taken
        return taken.get(str(Stage.TRAINING))


def _write(staging: Staging, save: Callable[[Path], object]) -> None:
    """Let the user write, and see to it that the checkpoint is there and alone."""
    try:
        save(staging.path)
        others = staging.others()
        if others or not os.path.lexists(staging.path):
            what = f"save wrote {others[0]!r} beside its path" if others else "save wrote nothing"
            raise InputError(what, where=str(staging.target),
                             valid="a file or a folder at the path that it is given")  # fmt: skip
    except BaseException:
        staging.drop()
        raise


def _rules(case: _Case) -> tuple[JudgedRule, ...]:
    rules = () if case.verdict is None else case.verdict.rules
    return tuple(
        JudgedRule(id=rule.id, status=rule.status, on_fail=rule.on_fail, reason=rule.reason)
        for rule in rules
    )


def _note(case: _Case, target: Path, reasons: tuple[str, ...]) -> str:
    place = "" if case.step is None else f", step {case.step}"
    look = "" if case.look is None else f", after look {case.look}"
    return "\n".join(
        [f"{target.name}{place}{look} was not promoted, and no manifest vouches for it.",
         *(f"- {reason}" for reason in reasons), ""]
    )  # fmt: skip


def _text(error: Exception) -> str:
    if isinstance(error, CheckpointError):
        return one_line(error.what)  # the place is known, and was a staging place
    said = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
    return one_line(said)
