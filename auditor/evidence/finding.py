"""A finding: a measured estimate in its place, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Self

from pydantic import model_validator

from auditor.errors import InputError
from auditor.evidence.estimate import Estimate, Interval
from auditor.evidence.slice import Slice
from auditor.evidence.stage import Stage
from auditor.evidence.value import Value

__all__ = ["FINDINGS_SCHEMA", "Finding", "FindingKey", "findings_document", "read_findings"]

FINDINGS_SCHEMA = "auditor/findings/v1"

FindingKey = tuple[str, str, str, Slice, Slice | str | None, tuple[str, ...] | None]


class Finding(Value):
    """What one check measured for one metric on one slice at one stage.

    There is one finding for each :attr:`key`. ``slice`` is empty for everybody; an aggregate over
    the groups of attributes names them in ``over``. ``reference`` is the slice against which a
    difference or a ratio was taken, or ``"rest"``.
    """

    check: str
    metric: str
    stage: Stage
    slice: Slice = Slice()
    over: tuple[str, ...] | None = None
    reference: Slice | Literal["rest"] | None = None
    status: Literal["measured", "not-evaluated", "error"]
    value: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    n: int | None = None
    method: str | None = None
    bound: float | None = None
    effective_n: float | None = None
    also: tuple[Interval, ...] = ()
    reason: str | None = None
    evidence: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.status == "measured":
            if self.value is None or self.n is None or not self.method or self.confidence is None:
                raise ValueError("a measured finding has value, n, confidence and method")
        elif not self.reason:
            raise ValueError(f"a finding that is {self.status} says its reason")
        return self

    @property
    def key(self) -> FindingKey:
        """What makes this finding unique in a run."""
        return (self.check, self.metric, self.stage, self.slice, self.reference, self.over)

    @property
    def base_metric(self) -> str:
        """The metric without its parameter: ``missing_rate`` of ``missing_rate[age]``."""
        return self.metric.partition("[")[0]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; ``null`` bounds of a measured finding stay visible."""
        document: dict[str, Any] = {
            "check": self.check,
            "metric": self.metric,
            "stage": str(self.stage),
            "slice": dict(self.slice),
            "status": self.status,
        }
        if self.over is not None:
            document["over"] = list(self.over)
        if self.reference is not None:
            document["reference"] = (
                self.reference if isinstance(self.reference, str) else dict(self.reference)
            )
        if self.status == "measured":
            document |= {
                "value": self.value,
                "low": self.low,
                "high": self.high,
                "confidence": self.confidence,
                "n": self.n,
                "method": self.method,
            }
            if self.bound is not None:
                document["bound"] = self.bound
            if self.effective_n is not None:
                document["effective_n"] = self.effective_n
            if self.also:
                document["also"] = [interval.model_dump() for interval in self.also]
        if self.reason is not None:
            document["reason"] = self.reason
        if self.evidence:
            document["evidence"] = list(self.evidence)
        return document

    @classmethod
    def measured(cls, estimate: Estimate, **place: Any) -> Self:
        """Put an estimate in its place (``check``, ``metric``, ``stage``, ``slice``, …)."""
        numbers = {name: getattr(estimate, name) for name in Estimate.model_fields}
        return cls(status="measured", **numbers, **place)

    @classmethod
    def absent(cls, reason: str, **place: Any) -> Self:
        """Say why there is no number in this place."""
        return cls(status="not-evaluated", reason=reason, **place)


def findings_document(run: str, findings: Iterable[Finding]) -> dict[str, Any]:
    """Return the content of ``findings.json``."""
    return {
        "schema": FINDINGS_SCHEMA,
        "run": run,
        "findings": [finding.to_json() for finding in findings],
    }


def read_findings(document: Any, *, where: str) -> tuple[Finding, ...]:
    """Read the content of ``findings.json``; raises :class:`InputError`."""
    if not isinstance(document, dict) or document.get("schema") != FINDINGS_SCHEMA:
        raise InputError("not a findings file", where=where, valid=f"schema {FINDINGS_SCHEMA!r}")
    items = document.get("findings")
    if not isinstance(items, list):
        raise InputError("there is no list of findings", where=where)
    return tuple(
        Finding.from_json(item, where=f"{where}, finding {index}")
        for index, item in enumerate(items)
    )
