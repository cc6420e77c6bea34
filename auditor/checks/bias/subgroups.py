"""Where a model errs most: conjunctions found on one half, confirmed on the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from auditor.checks.check import Check, Evidence, NotApplicable, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.evidence import Finding, Slice, Stage
from auditor.metrics import Absent, Measured
from auditor.metrics.estimates import estimate, estimate_all
from auditor.metrics.slices import aggregate_sample, slice_rows, slice_samples
from auditor.metrics.subgroups import SUBGROUP, error_difference, error_sums
from auditor.stats import SliceTable, Statistic

if TYPE_CHECKING:
    from auditor.datasets import Roles, Table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Subgroups"]

_RATE, _DIFFERENCE, _CALIBRATION = (
    "subgroup_error_rate", "subgroup_error_difference", "multicalibration_error",
)  # fmt: skip


@register
class Subgroups(Check):
    """Conjunctions of features on which a model errs more than on the rest.

    ``features`` names the columns that may take part, or is ``"all"``: all but those with another
    role. Without it the check is not asked for. SliceLine finds the ``most`` worst conjunctions of
    up to ``depth`` features on half of the records, which ``seed`` draws; ``alpha`` weighs their
    error against their size. Their errors are those of the other half, and the intervals of their
    differences to the rest hold together. No conjunction of fewer than ``support`` records in
    either half is looked at or stored. Numbers are cut into up to ``bins`` bins. A table of more
    than ``most_rows`` rows is not read.
    """

    id: ClassVar[str] = "bias.subgroups"
    title: ClassVar[str] = "Discovered subgroups with more errors"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.EVALUATION,)
    metrics: ClassVar[tuple[str, ...]] = (_RATE, _DIFFERENCE, _CALIBRATION)

    features: tuple[str, ...] | Literal["all"] | None = None
    most: Annotated[int, Field(ge=1, le=100)] = 10
    depth: Annotated[int, Field(ge=1, le=5)] = 3
    support: Annotated[int, Field(ge=10)] = 30
    alpha: Annotated[float, Field(gt=0, le=1)] = 0.95
    bins: Annotated[int, Field(ge=2, le=100)] = 10
    score_bins: Annotated[int, Field(ge=1, le=100)] = 10
    seed: Annotated[int, Field(ge=0)] = 0
    most_rows: Annotated[int, Field(ge=1)] = 10_000_000

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Discover subgroups on one half of the records, and count them on the other."""
        from auditor.discovery.counted import subgroup_counts
        from auditor.discovery.encode import encode
        from auditor.discovery.subgroups import confirmation_half, discover

        if self.features is None:
            raise NotApplicable("no features were named")
        if subject.predictions is None:
            raise NotApplicable("no table of predictions was given")
        table, roles = subject.predictions, subject.roles
        if roles.task not in {"binary", "multiclass"}:
            raise NotApplicable(f"the task is {roles.task}")
        names = self._names(table, roles)
        fields, without_scores = _fields(table, roles)
        for position, name in enumerate(names):
            fields[f"f{position}"] = _feature_sql(table, name, roles)
        selected = ", ".join(f"{sql} as {name}" for name, sql in fields.items())
        read = table.query(f"select {selected} from data")
        encoded = encode(
            {name: read.column(f"f{i}") for i, name in enumerate(names)}, bins=self.bins
        )
        errors = _numbers(read, "error")
        judged = ~np.isnan(errors)
        half = confirmation_half(errors.size, seed=self.seed)
        found = discover(
            encoded.codes[judged], encoded.sizes, errors[judged], confirmation=half[judged],
            confidence=self.confidence, k=self.most, support=self.support, alpha=self.alpha,
            depth=self.depth,
        )  # fmt: skip
        scored = {} if without_scores else {
            "labels": _numbers(read, "label"), "scores": _numbers(read, "score"),
        }  # fmt: skip
        settings = {**roles.context(), "features": names, "seed": self.seed,
                    "support": self.support, "without_scores": without_scores}  # fmt: skip
        return [
            subgroup_counts(
                found, encoded, errors, confirmation=half, score_bins=self.score_bins,
                context=settings, **scored,
            )
        ]  # fmt: skip

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive error rates, their differences to the rest, and the worst calibration."""
        findings: list[Finding] = []
        for item in evidence:
            statistic = item.statistic
            assert isinstance(statistic, SliceTable)
            measured: list[Measured] = []
            for family in statistic.groups.families:
                samples = slice_samples(_RATE, statistic, family).samples
                rates = estimate_all(list(samples.values()), confidence=self.confidence)
                measured += [
                    (_RATE, where, None, None, rate)
                    for where, rate in zip(samples, rates, strict=True)
                ]
            measured += self._differences(statistic)
            worst = aggregate_sample(_CALIBRATION, statistic, (SUBGROUP,))
            if len(statistic.context["subgroups"]) < 2:
                worst = Absent("fewer than two subgroups were discovered")
            outcome = estimate(worst, confidence=self.confidence)
            measured.append((_CALIBRATION, Slice(), None, (SUBGROUP,), outcome))
            findings += self.place(measured, stage, [item.digest])
        return findings

    def _differences(self, statistic: SliceTable) -> list[Measured]:
        rows = slice_rows(statistic, (SUBGROUP,))
        known = rows.known()
        if not known:
            support = statistic.context["support"]
            reason = f"no conjunction of {support} records in both halves stands out"
            return [(_DIFFERENCE, Slice(), "rest", None, Absent(reason))]
        out: list[Measured] = []
        for where in known:
            row = rows.rows[where]
            outcome = error_difference(
                error_sums(row), error_sums(row.of(row.rest)), confidence=self.confidence,
                tests=len(known), binary=True,
            )  # fmt: skip
            out.append((_DIFFERENCE, where, "rest", None, outcome))
        return out

    def _names(self, table: Table, roles: Roles) -> list[str]:
        """Return the features; raises :class:`NotMeasurable` where there can be no answer."""
        if roles.target is None:
            raise NotMeasurable("no target column")
        if roles.prediction is None and (roles.score is None or roles.threshold is None):
            raise NotMeasurable("neither predictions nor a threshold of scores were given")
        if roles.weighting is not None:
            raise NotMeasurable("subgroups of weighted or clustered records are not discovered")
        if table.rows > self.most_rows:
            raise NotMeasurable(f"{table.rows:,} rows are more than most_rows, {self.most_rows:,}")
        taken = {roles.target, roles.prediction, roles.score, roles.record_id, roles.query}
        if self.features == "all":
            names = [name for name in table.columns if name not in taken]
        else:
            names = list(dict.fromkeys(self.features or ()))
            table.require(names, option="--features")
            if both := [name for name in names if name in taken]:
                raise NotMeasurable(f"the feature {both[0]!r} has another role")
        if not names:
            raise NotMeasurable("there is no column but those with another role")
        return names


def _fields(table: Table, roles: Roles) -> tuple[dict[str, str], str | None]:
    """Return SQL of errors, and of labels and scores or the reason why there are none."""
    from auditor.datasets.roles import label_sql, prediction_sql, score_sql

    if roles.task == "multiclass":
        target, predicted = (table.text(str(c)) for c in (roles.target, roles.prediction))
        return {"error": f"cast(({target}) <> ({predicted}) as int)"}, "the task is multiclass"
    label = f"nullif({label_sql(table, str(roles.target), roles.positive)}, 2)"
    fields = {"error": f"cast(({label}) <> nullif({prediction_sql(table, roles)}, 2) as int)"}
    if roles.score is None:
        return fields, "no score column"
    score = score_sql(table, roles.score)
    found = table.profile(roles.score)
    if found.low is None or found.high is None or found.low < 0 or found.high > 1:
        return fields, "the scores are not probabilities between 0 and 1"
    return {**fields, "label": label, "score": score}, None


def _feature_sql(table: Table, name: str, roles: Roles) -> str:
    from auditor.datasets.roles import attribute_sql
    from auditor.datasets.table import quoted

    if name in roles.bins:
        return attribute_sql(table, name, roles.bins[name])
    return quoted(name) if table.is_numeric(name) else table.text(name)


def _numbers(read: pa.Table, name: str) -> NDArray[np.float64]:
    """Return a column as numbers, NaN where missing."""
    return np.asarray(read.column(name).cast("double").to_numpy(), np.float64)
