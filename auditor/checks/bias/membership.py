"""Rates of groups that nobody knows, from the probability of each record to belong to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from auditor.checks.check import Check, Evidence, NotApplicable, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.errors import InputError
from auditor.evidence import Finding, Slice, Stage
from auditor.metrics import (
    Absent,
    Census,
    Measured,
    Reference,
    SliceSamples,
    disaggregate,
    estimate_all,
    reference_slice,
    slice_rows,
    slice_samples,
    with_parameter,
)
from auditor.metrics.membership import (
    HARD,
    MEMBERSHIP_BOUNDS,
    MEMBERSHIP_RATES,
    soft_comparison,
)
from auditor.metrics.unknown import UNKNOWN_RATE
from auditor.stats import Family, SliceTable, Statistic

__all__ = ["SoftMembership"]

_OF_LABELS = ("base_rate", "true_positive_rate", "false_positive_rate", "false_negative_rate",
              "precision", "accuracy")  # fmt: skip


@register
class SoftMembership(Check):
    """Rates and gaps by probabilities of membership, as Bayesian surname geocoding gives them.

    Three answers for each group. *Soft*: every record counts for each group by its probability;
    right where outcome and group are independent given what the probabilities were computed from.
    *Hard* (``selection_rate[hard]``): every record counts for its most probable group where that
    probability reaches ``threshold``; this tends to overstate the gaps (Chen et al. 2019, arXiv
    1811.11154). *Bounds* (``selection_rate_bounds``): what is possible at all, given how outcomes
    and probabilities are distributed (Kallus, Mao and Zhou 2022), in 20 bins of the probability.

    A ``reference`` of ``best`` is read as ``largest``.
    """

    id: ClassVar[str] = "bias.soft-membership"
    title: ClassVar[str] = "Rates of groups known by probability"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.EVALUATION, Stage.MONITORING)
    metrics: ClassVar[tuple[str, ...]] = (
        "count", UNKNOWN_RATE.id, *MEMBERSHIP_RATES, *MEMBERSHIP_BOUNDS,
    )  # fmt: skip

    threshold: Annotated[float, Field(gt=0, le=1)] = 0.5
    reference: Literal["largest", "best", "rest"] | dict[str, str] = "largest"

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Add up outcomes by probability, for each attribute that has probabilities."""
        from auditor.datasets.scan_membership import check_membership, scan_membership

        table, roles = subject.predictions, subject.roles
        if table is None or not roles.membership or roles.task != "binary":
            raise NotApplicable("no probabilities of membership in binary predictions")
        if roles.weighting is not None:
            raise NotMeasurable(
                f"groups known by probability are not measured with a {roles.weighting}"
            )
        for attribute, columns in roles.membership.items():
            if attribute in roles.sensitive:
                raise InputError(f"{attribute!r} is sensitive, and has probabilities as well",
                                 where="--membership", valid="one of the two")  # fmt: skip
            check_membership(table, attribute, columns)
        return [
            scan_membership(table, roles, attribute, threshold=self.threshold)
            for attribute in roles.membership
        ]

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive soft rates, hard ones and bounds, and their comparisons."""
        findings: list[Finding] = []
        for position, item in enumerate(evidence):
            statistic = item.statistic
            assert isinstance(statistic, SliceTable)
            rates, bounds = MEMBERSHIP_RATES, MEMBERSHIP_BOUNDS
            if statistic.context.get("target", "") is None:
                rates = tuple(name for name in rates if name not in _OF_LABELS)
                bounds = tuple(name for name in bounds if not name.startswith(_OF_LABELS))
            family = statistic.groups.families[-1]
            measured: list[Measured] = []
            if not position:  # everybody is the same in all
                measured += self._values(("count", *rates), statistic, ())
            measured += self._values(("count", *rates), statistic, family)
            measured += self._compared(rates, statistic, family)
            measured += disaggregate(
                [*(with_parameter(name, HARD) for name in rates), *bounds], statistic,
                extremes=[UNKNOWN_RATE.id], families=[family],
                reference=self._reference(family), confidence=self.confidence,
            )  # fmt: skip
            measured = [m for m in measured if m[1].known or m[0] in ("count", *rates)]
            findings += self.place(measured, stage, [item.digest])
        return findings

    def _reference(self, family: Family) -> Reference:
        if isinstance(self.reference, Mapping):
            named = {k: v for k, v in self.reference.items() if k in family}
            return named or "largest"
        return "largest" if self.reference == "best" else self.reference

    def _values(
        self, names: Sequence[str], statistic: SliceTable, family: Family
    ) -> list[Measured]:
        out: list[Measured] = []
        for name in names:
            samples = slice_samples(name, statistic, family).samples
            outcomes = estimate_all(list(samples.values()), confidence=self.confidence)
            out += [(name, w, None, None, o) for w, o in zip(samples, outcomes, strict=True)]
        return out

    def _compared(
        self, names: Sequence[str], statistic: SliceTable, family: Family
    ) -> list[Measured]:
        """Compare groups that share records with the reference."""
        rows = slice_rows(statistic, family)
        counts = {where: Census(n, n) for where, n in rows.records.items()}
        some = slice_samples("count", statistic, family, rows=rows)
        chosen = reference_slice(
            SliceSamples(some.metric, family, dict(counts), rows.records), self._reference(family)
        )
        out: list[Measured] = []
        for name in names:
            for operation in ("difference", "ratio"):
                metric = f"{name}_{operation}"
                if isinstance(chosen, Absent):
                    out += [(metric, w, None, None, chosen) for w in rows.rows if w.known]
                    continue
                for where, row in rows.rows.items():
                    if where == chosen or not where.known:
                        continue
                    theirs = (
                        row.of(row.rest) if not isinstance(chosen, Slice) else rows.rows[chosen]
                    )
                    outcome = soft_comparison(
                        operation, name, row, theirs, confidence=self.confidence
                    )
                    out.append((metric, where, chosen, None, outcome))
        return out
