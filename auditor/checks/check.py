"""What a check is: a measuring half that may be heavy, and a pure half that derives findings."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, ValidationError

from auditor.checks.subject import Subject
from auditor.errors import AuditorError, InputError, nearest
from auditor.evidence import Finding, Slice, Stage, Value
from auditor.evidence.value import explain_validation
from auditor.metrics import Absent, Measured, disaggregate
from auditor.registry import Registry
from auditor.stats import Statistic

__all__ = [
    "CHECKS",
    "Check",
    "Evidence",
    "NotApplicable",
    "NotMeasurable",
    "check_from_spec",
    "register",
]


class NotMeasurable(AuditorError):  # noqa: N818 -- a reason, not a fault
    """Raised by ``measure`` where there is nothing to measure; the message is the reason."""


class NotApplicable(AuditorError):  # noqa: N818 -- a reason, not a fault
    """Raised by ``measure`` where the check is about something else than this subject.

    Nothing is recorded: that a classifier has no residuals is no gap in its audit. A rule on such
    a metric finds nothing, and is not evaluated.
    """


@dataclass(frozen=True, slots=True)
class Evidence:
    """A stored statistic and the digest under which it lies in the run."""

    digest: str
    statistic: Statistic


class Check(Value):
    """The base of every check; the fields are its parameters, set by a policy.

    A check has a stable kebab-case ``id``, the ``stages`` at which it runs and the ``metrics`` that
    it yields. :meth:`measure` looks at the subject and gives statistics; :meth:`derive` is pure,
    and turns statistics into findings, so that whoever holds the statistics can compute every
    finding again.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    stages: ClassVar[tuple[Stage, ...]]
    metrics: ClassVar[tuple[str, ...]]

    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95

    @abstractmethod
    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Measure; raises :class:`NotMeasurable` with the reason where that cannot be done.

        :class:`NotApplicable` where the check is about another kind of subject.
        """

    @abstractmethod
    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Turn statistics into findings; pure."""

    def unmeasured(self, reason: str, stage: Stage, *, error: bool = False) -> list[Finding]:
        """Return one finding per metric that says why there is no number."""
        return [
            Finding(
                check=self.id, metric=metric, stage=stage, slice=Slice(), reason=reason,
                status="error" if error else "not-evaluated",
            )
            for metric in self.metrics
        ]  # fmt: skip

    def place(
        self, measured: Sequence[Measured], stage: Stage, evidence: Sequence[str]
    ) -> list[Finding]:
        """Give measured numbers their place: this check, the stage, the digests of the evidence."""
        findings: list[Finding] = []
        for metric, where, reference, over, outcome in measured:
            place: dict[str, Any] = {
                "check": self.id, "metric": metric, "stage": stage, "slice": where,
                "reference": reference, "over": over, "evidence": tuple(evidence),
            }  # fmt: skip
            findings.append(
                Finding.absent(outcome.reason, **place)
                if isinstance(outcome, Absent)
                else Finding.measured(outcome, **place)
            )
        return findings

    def disaggregated(
        self, metrics: Sequence[str], evidence: Sequence[Evidence], stage: Stage
    ) -> list[Finding]:
        """Derive metrics from each statistic, for every slice and with their comparisons."""
        return [
            finding
            for item in evidence
            for finding in self.place(
                disaggregate(metrics, item.statistic, confidence=self.confidence),
                stage,
                [item.digest],
            )
        ]

    def spec(self) -> dict[str, Any]:
        """Return the JSON form from which :func:`check_from_spec` builds an equal check."""
        return {"id": self.id, "fields": self.model_dump(mode="json", exclude_defaults=True)}

    @classmethod
    def build(cls, fields: Mapping[str, Any], *, where: str | None = None) -> Self:
        """Build the check from its fields; raises :class:`InputError` naming the wrong one."""
        for name in fields:
            if name not in cls.model_fields:
                raise InputError(
                    f"check {cls.id} has no field {name!r}", where=where,
                    valid=nearest(name, cls.model_fields),
                )  # fmt: skip
        try:
            return cls.model_validate(dict(fields))
        except ValidationError as error:
            raise InputError(f"check {cls.id}: {explain_validation(error)}", where=where) from None


CHECKS: Registry[type[Check]] = Registry("check", group="auditor.checks")


def register(check: type[Check]) -> type[Check]:
    """Register a check under its id (a class decorator)."""
    return CHECKS.add(check.id, check)


def check_from_spec(spec: Mapping[str, Any], *, where: str | None = None) -> Check:
    """Build a check from what :meth:`Check.spec` gave; raises :class:`InputError`."""
    return CHECKS.get(str(spec.get("id")), where=where).build(spec.get("fields", {}), where=where)
