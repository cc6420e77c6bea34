"""The looks at a training: counted, remembered where a rule's plan ends, and never its undoing.

What goes wrong in a look is an ``error`` of the audit: it goes into the ledger and the verdict, it
is logged, and the training goes on. Wrong usage raises :class:`InputError` as long as no look of
the audit succeeded: whoever starts a training wants to know at once. After that it is an error of
the audit like any other, because nobody's week of training is to end by it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from auditor.errors import GateClosed, InputError, RankError, RunError, one_line
from auditor.evidence import Finding, RuleVerdict, Stage, Status, Verdict
from auditor.policy import LoadedPolicy, evaluate

if TYPE_CHECKING:
    from types import TracebackType

    from auditor.engine.recording import Recording
    from auditor.ledger import RunRecord
    from auditor.verify.recompute import Statistics

__all__ = ["Look", "Looks", "refuse_judged_split", "stopping"]

_LOG = logging.getLogger("auditor")


class Looks:
    """The looks of an audit, by stage.

    ``taken`` is the number of the latest one, ``faults`` say why it failed, where it did.
    """

    def __init__(self, policy: LoadedPolicy | None) -> None:
        self.taken: dict[str, int] = {}
        self.faults: dict[str, str] = {}
        self.succeeded = False
        rules = () if policy is None else policy.policy.rules
        self._ends = sorted({(rule.stage, rule.looks) for rule in rules})
        self._kept: dict[tuple[Stage, int], dict[str, list[Finding]]] = {}

    def keep(self, stage: Stage, look: int, check: str, findings: list[Finding]) -> None:
        """Take what a check found at a look, for the rules whose last declared look it may be."""
        self._count(stage, look)
        for place, end in self._ends:
            if place == stage and look <= end:
                self._kept.setdefault((stage, end), {})[check] = findings

    def after(self, stage: Stage, look: int) -> Sequence[Finding]:
        """Return the findings of a stage as they were after its last declared look."""
        kept = self._kept.get((stage, look), {})
        return tuple(finding for check in sorted(kept) for finding in kept[check])

    def restore(self, record: RunRecord, statistics: Statistics) -> None:
        """Take up the looks that a record tells of, in a run that is resumed."""
        from auditor.verify.looks import faults_of, looks_of
        from auditor.verify.recompute import recompute_findings

        self.taken, self.faults = looks_of(record), faults_of(record)
        self.succeeded = bool(self.taken)
        self._kept.clear()
        for stage, end in self._ends:
            if str(stage) not in self.taken:
                continue
            kept = self._kept.setdefault((stage, end), {})
            for finding in recompute_findings(record, statistics, after=(stage, end)):
                if finding.stage is stage:
                    kept.setdefault(finding.check, []).append(finding)

    def failed(self, recording: Recording, stage: Stage, look: int, reason: str) -> None:
        """Record a look that failed, now or as soon as the ledger can be written."""
        reason = one_line(reason)
        _LOG.warning("the audit of look %d failed, and the training goes on: %s", look, reason)
        self.faults[str(stage)] = reason
        self._count(stage, look)
        recording.note_late(
            "look",
            {"stage": str(stage), "look": look, "status": str(Status.ERROR), "error": reason},
        )

    def done(self, recording: Recording, body: Mapping[str, Any]) -> None:
        """Record a look that was judged; raises :class:`RunError`."""
        recording.write_late()
        recording.note("look", body)
        self._count(Stage(body["stage"]), int(body["look"]))
        self.faults.pop(str(body["stage"]), None)

    def state(self) -> tuple[Mapping[str, int], Mapping[str, str]]:
        """Return what a verdict takes of the looks, to see whether it changed."""
        return dict(self.taken), dict(self.faults)

    def _count(self, stage: Stage, look: int) -> None:
        self.taken[str(stage)] = max(self.taken.get(str(stage), 0), look)


class Look:
    """One look at the training, as a context: an error of the audit inside it does not get out.

    Let through are :class:`GateClosed`, what is no error (an interruption by the keyboard), a rank
    that is lost, and, until a look succeeded, wrong usage.
    """

    def __init__(self, recording: Recording, number: int) -> None:
        self.number = number
        self._recording = recording

    def __enter__(self) -> Look:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        looks = self._recording.looks
        if error is None or isinstance(error, GateClosed):
            looks.succeeded = True
            return False
        if not isinstance(error, Exception) or (isinstance(error, RankError) and error.lost):
            return False
        usage = isinstance(error, InputError) and not isinstance(error, (RunError, RankError))
        if usage and not looks.succeeded:
            return False
        reason = str(error) if usage else f"{type(error).__name__}: {error}"
        looks.failed(self._recording, Stage.TRAINING, self.number, reason)
        return True

    def verdict(self) -> Verdict | None:
        """Return the verdict of a look that failed: an error. ``None`` without a policy."""
        recording = self._recording
        if recording.policy is None:
            return None
        # Without findings nothing is computed that could break again.
        return evaluate(
            recording.policy, (), recording.statistic, evaluated_at=recording.now(),
            seed=recording.seed, stage=Stage.TRAINING, registered=True, only_stage=True,
            looks={str(Stage.TRAINING): 1}, faults=recording.looks.faults,
        )  # fmt: skip


def stopping(rules: Iterable[RuleVerdict]) -> list[RuleVerdict]:
    """Return the rules that end the training; one that broke is the audit's error, and does not."""
    return [
        rule for rule in rules
        if rule.closes_gate and rule.on_fail == "stop" and rule.status is not Status.ERROR
    ]  # fmt: skip


def refuse_judged_split(policy: LoadedPolicy | None, digests: Mapping[str, str]) -> None:
    """Refuse looks at the rows by which the final gate judges, which no look may touch.

    ``digests`` are those of the tables by split. Raises :class:`InputError` where validation and
    test data are the same and the policy has rules for both.
    """
    stages = set() if policy is None else {rule.stage for rule in policy.policy.rules}
    late = {stage for stage in stages if stage.order >= Stage.EVALUATION.order}
    same = "test" in digests and digests.get("validation") == digests["test"]
    if same and late and Stage.TRAINING in stages:
        raise InputError(
            "validation= and test= are the same rows, and the final gate judges by rows that no "
            "look has touched", where="validation=", valid="two splits",
        )  # fmt: skip
