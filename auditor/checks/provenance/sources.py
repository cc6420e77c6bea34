"""What the sources of the data state: licence, origin, legal basis, and what was asked of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import model_validator

from auditor.checks.check import Check, Evidence, NotMeasurable, register
from auditor.checks.subject import Subject
from auditor.errors import InputError
from auditor.evidence import Finding, Slice, Stage
from auditor.metrics import Absent, Measured, disaggregate
from auditor.metrics.sources import SOURCES, listed, source_columns
from auditor.stats import Groups, SliceTable, Statistic

if TYPE_CHECKING:
    from auditor.provenance.sources import Source

__all__ = ["Sources"]

Answer = bool | None
Required = Literal[
    "licence", "origin", "collection_dates", "consent", "synthetic", "opt_outs", "personal",
    "special_categories", "languages", "digest",
]  # fmt: skip

_STATED: dict[str, Callable[[Source], bool]] = {
    "licence": lambda source: source.licence is not None,
    "origin": lambda source: source.origin is not None,
    "collection_dates": lambda source: source.dated,
    "consent": lambda source: source.personal is False or source.consent is not None,
    "synthetic": lambda source: source.synthetic is not None,
    "opt_outs": lambda source: source.opt_outs is not None and source.opt_outs.honoured is not None,
    "personal": lambda source: source.personal is not None,
    "special_categories": lambda source: _special(source) is not None,
    "languages": lambda source: source.languages is not None,
    "digest": lambda source: source.digest is not None,
}

_METRICS = (
    "compatible_licence_rate", "incompatible_licence_rate", "known_licence_rate",
    "known_origin_rate", "known_collection_dates_rate", "legal_basis_rate", "synthetic_rate",
    "opt_outs_honoured_rate", "declared_personal_data_rate", "declared_special_category_rate",
    "documented_source_rate",
)  # fmt: skip


@register
class Sources(Check):
    """The share of rows, of tokens and of sources by what the declared sources state.

    ``licences`` names the licences that are allowed, by SPDX id or by group (``public-domain``,
    ``permissive``, ``copyleft``, ``non-commercial``, ``no-derivatives``), ``uses`` what the data
    are to be used for (``commercial``, ``derivatives``, ``redistribution``, ``relicensing``); of
    licences joined by OR any will do, of AND all must. ``require`` names what every source has to
    state. ``splits`` narrows the sources to those that went into these splits. What is unknown is
    not evaluated, with the names of the sources; what is known to be incompatible is a finding all
    the same. Rows of the tables beyond those that the sources declare are of no known source.
    Tokens are counted where any source states them.
    """

    id: ClassVar[str] = "provenance.sources"
    title: ClassVar[str] = "Sources and rights"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.DATA,)
    metrics: ClassVar[tuple[str, ...]] = _METRICS

    licences: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    require: tuple[Required, ...] = ("licence", "origin", "collection_dates", "consent")
    splits: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        if not self.licences and not self.uses:
            return self
        from auditor.provenance.licences import check_allowed

        try:
            check_allowed(self.licences, self.uses)
        except InputError as error:
            raise ValueError(str(error)) from None
        return self

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        """Count rows, tokens and sources by what their sources state."""
        if not subject.sources:
            raise NotMeasurable("no sources were declared")
        sources = subject.sources
        if self.splits is not None:
            if silent := [s.name for s in sources if s.used_for is None]:
                raise NotMeasurable(f"it is not stated what {listed(silent)} was used for")
            wanted = set(self.splits)
            sources = tuple(s for s in sources if wanted & set(s.used_for or ()))
            if not sources:
                raise NotMeasurable(f"no source was used for {', '.join(self.splits)}")
        counts = [self._count("sources", sources, lambda _: 1)]
        held = sum(
            table.rows for split, table in subject.tables.items()
            if self.splits is None or split in self.splits
        )  # fmt: skip
        counts.append(self._count("rows", sources, lambda source: source.rows, held=held))
        if any(source.tokens is not None for source in sources):
            counts.append(self._count("tokens", sources, lambda source: source.tokens))
        return counts

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        """Derive the shares of each unit."""
        findings: list[Finding] = []
        for item in evidence:
            statistic = item.statistic
            assert isinstance(statistic, SliceTable)
            unit, uncounted = statistic.context["unit"], statistic.context["uncounted"]
            names = [f"{metric}[{unit}]" for metric in _METRICS]
            if uncounted and not statistic.values.any():
                absent = Absent(f"the number of {unit} is not stated of {listed(uncounted)}")
                measured: list[Measured] = [(name, Slice(), None, None, absent) for name in names]
            else:
                measured = disaggregate(names, statistic, families=[()], confidence=self.confidence)
            findings += self.place(measured, stage, [item.digest])
        return findings

    def _answers(self, source: Source) -> dict[str, Answer]:
        """Answer every question about one source."""
        answers: dict[str, Answer] = {}
        if self.licences or self.uses:
            from auditor.provenance.licences import permitted, read_expression

            answers["compatible_licence"] = None if source.licence is None else permitted(
                read_expression(source.licence), licences=self.licences, uses=self.uses
            )  # fmt: skip
        return answers | {
            "known_licence": source.licence is not None,
            "known_origin": source.origin is not None,
            "known_collection_dates": source.dated,
            "legal_basis": source.lawful,
            "synthetic": source.synthetic,
            "opt_outs_honoured": None if source.opt_outs is None else source.opt_outs.honoured,
            "personal_data": source.personal,
            "special_category": _special(source),
            "documented": all(_STATED[name](source) for name in self.require),
        }

    def _count(
        self,
        unit: str,
        sources: Sequence[Source],
        size: Callable[[Source], int | None],
        *,
        held: int = 0,
    ) -> SliceTable:
        """Add up the units of the sources by their answers.

        Where the tables hold more of them than the sources declare, nothing is known of the rest.
        """
        answers = [self._answers(source) for source in sources]
        criteria = list(answers[0])
        columns = source_columns(criteria)
        unknown: dict[str, list[str]] = {}
        uncounted = [source.name for source in sources if size(source) is None]
        groups = Groups.declare([])
        counts = SliceTable.zero(
            SOURCES, groups, columns,
            context={"unit": unit, "unknown": unknown, "uncounted": uncounted},
        )  # fmt: skip
        rest = 0 if uncounted else held - sum(size(source) or 0 for source in sources)
        if rest > 0:
            counts.values[0, 0] += rest
            for criterion in criteria:
                counts.values[0, counts.column(f"{criterion}:unknown")] += rest
                unknown.setdefault(criterion, []).append("no declared source")
        for source, answered in zip(sources, answers, strict=True):
            units = size(source) or 0
            counts.values[0, 0] += units
            for criterion, answer in answered.items():
                word = "unknown" if answer is None else "yes" if answer else "no"
                counts.values[0, counts.column(f"{criterion}:{word}")] += units
                if answer is None:
                    unknown.setdefault(criterion, []).append(source.name)
        return counts


def _special(source: Source) -> Answer:
    if source.personal is False:
        return False
    return None if source.special_categories is None else bool(source.special_categories)
