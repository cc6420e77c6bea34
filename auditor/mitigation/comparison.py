"""All recipes side by side, and the way out that they show."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from auditor.errors import InputError
from auditor.evidence import Estimate, Slice
from auditor.evidence.value import Value
from auditor.mitigation.baseline import BASELINE
from auditor.mitigation.recipe import Constraint
from auditor.mitigation.results import Result

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Comparison", "WayOut", "on_the_front"]

_MOST_NAMED = 8
_FIGURES = ("accuracy", "change", "balanced_accuracy", "auc", "difference", "ratio")
_ACCEPT = re.compile(r"\s*(>=|<=|≥|≤)\s*([0-9]*\.?[0-9]+)\s*")


class WayOut(Value):
    """What a closed gate can be told.

    ``status`` is ``not-needed`` (the baseline itself passes surely), ``sure`` (the recipe's own
    one-sided bound passes), ``likely`` (only its value does) or ``none``; then ``recipe`` is the
    one that comes nearest, or ``None`` where nothing was measured.
    """

    status: Literal["not-needed", "sure", "likely", "none"]
    recipe: str | None
    sentence: str

    def __str__(self) -> str:
        return self.sentence


class Comparison(Value):
    """Every recipe's accuracy and disparity on the same test records.

    ``results`` keeps the order asked for, the baseline first. The constraint says whose difference
    and ratio are shown: of selection rates, of true positive rates, or the worse of true and false
    positive rates.
    """

    constraint: Constraint
    target_ratio: float
    confidence: float
    seed: int
    fitted_on: int
    evaluated_on: int
    groups: tuple[Slice, ...]
    results: tuple[Result, ...]

    def __getitem__(self, recipe: str) -> Result:
        for result in self.results:
            if recipe in (result.recipe, result.recipe.partition("[")[0]):
                return result
        raise InputError(
            f"{recipe!r} was not compared", valid=", ".join(each.recipe for each in self.results)
        )

    @property
    def baseline(self) -> Result:
        """The result without mitigation."""
        return self[BASELINE]

    def frame(self) -> pd.DataFrame:
        """Return one row for each recipe; a figure that is not there is missing."""
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for each in self.results:
            row: dict[str, Any] = {"recipe": each.recipe, "family": each.family}
            for name in _FIGURES:
                figure: Estimate | None = getattr(each, name)
                row[name] = None if figure is None else figure.value
                row[f"{name}_low"] = None if figure is None else figure.low
                row[f"{name}_high"] = None if figure is None else figure.high
            row |= {
                "difference_at_most": each.difference_at_most,
                "ratio_at_least": each.ratio_at_least,
                "lowest_group": None if each.worst is None else str(each.worst[0]),
                "highest_group": None if each.worst is None else str(each.worst[1]),
                "pareto": each.pareto,
                "sensitive_at_prediction": each.sensitive_at_prediction,
                "randomised": each.randomised,
                "note": each.note,
                "reason": each.reason,
            }
            rows.append(row)
        numbers = [f"{name}{end}" for name in _FIGURES for end in ("", "_low", "_high")]
        numbers += ["difference_at_most", "ratio_at_least"]
        return pd.DataFrame(rows).astype(dict.fromkeys(numbers, "float64"))

    def way_out(self, accept: str = ">= 0.8") -> WayOut:
        """Find the cheapest recipe that a rule accepts: the one that loses the least accuracy.

        ``accept`` is ``>= x`` for the ratio or ``<= x`` for the difference. A recipe passes surely
        where its own one-sided bound does. At equal accuracy, a recipe that does not read the group
        at prediction time is preferred, then one without lots. The choice looks at the test
        records, so that its figures are a little too good; the sentence asks for a confirmation.

        Raises :class:`InputError` for anything else in ``accept``.
        """
        rule = _Rule(accept)
        what = f"{'ratio' if rule.at_least else 'difference'} {rule.text}"
        measured = [each for each in self.results if rule.value(each) is not None]
        if not measured:
            reason = "; ".join(
                sorted({each.reason or each.missing.get(rule.figure, "") for each in self.results})
            )
            return WayOut(
                status="none", recipe=None, sentence=f"Nothing could be measured: {reason}."
            )
        sure = [each for each in measured if rule.passes(rule.bound(each))]
        likely = [each for each in measured if rule.passes(rule.value(each))]
        about = self._about(measured)
        if sure and (first := next((r for r in sure if r.recipe == BASELINE), None)):
            return WayOut(
                status="not-needed", recipe=first.recipe,
                sentence=f"No mitigation is needed for a {what}: {rule.figures(first)}.{about}",
            )  # fmt: skip
        if sure:
            best = min(sure, key=_cost)
            return WayOut(
                status="sure", recipe=best.recipe,
                sentence=f"{best.recipe} reaches a {what}: {rule.figures(best)}, "
                f"{self._price(best)}.{_caution(best)}{about} The choice was made on these "
                f"{self.evaluated_on:,} records; confirm it on others.",
            )  # fmt: skip
        if likely:
            best = min(likely, key=_cost)
            same = [r for r in likely if r.recipe == BASELINE and r is not best]
            too = f" So does the baseline: {rule.figures(same[0])}." if same else ""
            return WayOut(
                status="likely", recipe=best.recipe,
                sentence=f"No recipe surely reaches a {what}. {best.recipe} does by its value: "
                f"{rule.figures(best)}, {self._price(best)}.{_caution(best)}{too}{about} More "
                "records, or a stricter target, would decide.",
            )  # fmt: skip
        best = min(measured, key=rule.distance)
        return WayOut(
            status="none", recipe=best.recipe,
            sentence=f"No recipe reaches a {what}. The nearest is {best.recipe}: "
            f"{rule.figures(best)}, {self._price(best)}.{about}",
        )  # fmt: skip

    def _price(self, result: Result) -> str:
        if result.change is None:
            return "with the accuracy as it is"
        low, high = (100 * (bound or 0.0) for bound in (result.change.low, result.change.high))
        value = 100 * result.change.value
        verb, sign = ("at a cost of", -1) if value <= 0 else ("with a gain of", 1)
        ends = sorted((sign * low, sign * high))
        return (
            f"{verb} {abs(value):.1f} points of accuracy ({100 * self.confidence:g} % interval "
            f"{ends[0]:.1f} to {ends[1]:.1f})"
        )

    def _about(self, results: Sequence[Result]) -> str:
        silent = {str(r.slice): r.reason for r in results[0].rates if r.estimate is None}
        if not silent:
            return ""
        listed = [f"{where} ({reason})" for where, reason in silent.items()]
        if len(listed) > _MOST_NAMED:
            listed[_MOST_NAMED:] = [f"and {len(listed) - _MOST_NAMED:,} more"]
        return f" Nothing is said about {', '.join(listed)}."

    def _repr_html_(self) -> str:
        head = "".join(
            f"<th>{name}</th>"
            for name in ("recipe", "accuracy", "change", "difference", "ratio", "ratio at least",
                         "front", "reads the group", "by lot", "")
        )  # fmt: skip
        body = "".join(f"<tr>{_cells(each)}</tr>" for each in self.results)
        caption = (
            f"Mitigation for {self.constraint}: fitted on {self.fitted_on:,} records, evaluated on "
            f"{self.evaluated_on:,} others; {100 * self.confidence:g} % intervals"
        )
        return f"<table><caption>{caption}</caption><tr>{head}</tr>{body}</table>"


def on_the_front(results: Sequence[Result]) -> tuple[Result, ...]:
    """Mark the results that no other one beats: by accuracy and ratio, point values."""
    points = [
        None if each.accuracy is None or each.ratio is None
        else (each.accuracy.value, each.ratio.value)
        for each in results
    ]  # fmt: skip
    known = [point for point in points if point is not None]

    def beaten(mine: tuple[float, float]) -> bool:
        return any(other != mine and other[0] >= mine[0] and other[1] >= mine[1] for other in known)

    return tuple(
        each.model_copy(update={"pareto": point is not None and not beaten(point)})
        for each, point in zip(results, points, strict=True)
    )


class _Rule:
    """``>= 0.8`` of the ratio, or ``<= 0.1`` of the difference."""

    def __init__(self, accept: str) -> None:
        match = _ACCEPT.fullmatch(accept)
        if match is None:
            raise InputError(
                f"{accept!r} cannot be read", where="accept",
                valid="'>= 0.8' for the ratio, or '<= 0.1' for the difference",
            )  # fmt: skip
        self.at_least = match[1] in (">=", "≥")
        self.limit = float(match[2])
        self.figure = "ratio" if self.at_least else "difference"
        self.text = f"{'>=' if self.at_least else '<='} {match[2]}"

    def value(self, result: Result) -> float | None:
        figure = result.ratio if self.at_least else result.difference
        return None if figure is None else figure.value

    def bound(self, result: Result) -> float | None:
        return result.ratio_at_least if self.at_least else result.difference_at_most

    def passes(self, number: float | None) -> bool:
        if number is None:
            return False
        return number >= self.limit if self.at_least else number <= self.limit

    def distance(self, result: Result) -> float:
        value = self.value(result)
        assert value is not None
        return self.limit - value if self.at_least else value - self.limit

    def figures(self, result: Result) -> str:
        side = "at least" if self.at_least else "at most"
        return (
            f"its {self.figure} is {self.value(result):.2f}, {side} {self.bound(result):.2f} by "
            "its one-sided bound"
        )


def _cost(result: Result) -> tuple[float, bool, bool]:
    assert result.accuracy is not None
    return (-result.accuracy.value, result.sensitive_at_prediction, result.randomised)


def _caution(result: Result) -> str:
    parts: list[str] = []
    if result.sensitive_at_prediction:
        parts.append("reads the group of each person it decides about, which may be unlawful")
    if result.randomised:
        parts.append("decides some by lot")
    return f" It {' and '.join(parts)}." if parts else ""


def _cells(result: Result) -> str:
    if result.accuracy is None:
        return (
            f"<td>{html.escape(result.recipe)}</td>"
            f'<td colspan="9">{html.escape(result.reason or "")}</td>'
        )
    figures = [result.accuracy, result.change, result.difference, result.ratio]
    cells = [html.escape(result.recipe), *map(_shown, figures)]
    cells.append("" if result.ratio_at_least is None else f"{result.ratio_at_least:.3f}")
    for flag in (result.pareto, result.sensitive_at_prediction, result.randomised):
        cells.append("yes" if flag else "")
    cells.append(html.escape(result.note or ""))
    return "".join(f"<td>{cell}</td>" for cell in cells)


def _shown(figure: Estimate | None) -> str:
    if figure is None:
        return ""
    ends = [f"{bound:.3f}" if bound is not None else "∞" for bound in (figure.low, figure.high)]
    return f"{figure.value:.3f} [{ends[0]}, {ends[1]}]"
