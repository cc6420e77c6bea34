"""Shares of data by what is known of their sources: licence, origin, legal basis, and the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from auditor.metrics.metric import Metric, SampleReader, add_metric
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Census, Sample

__all__ = ["SOURCES", "listed", "source_columns"]

SOURCES = "source-counts"

_NAMED = 5


def source_columns(criteria: Sequence[str]) -> tuple[str, ...]:
    """Return the columns: all records, and for each criterion yes, no and unknown."""
    return (
        "records",
        *(f"{name}:{answer}" for name in criteria for answer in ("yes", "no", "unknown")),
    )


def _reader(criterion: str, counted: Literal["yes", "no"]) -> SampleReader:
    """Return the reader of the share whose sources answer ``counted``.

    An unknown answer gives no number but the reason, with the sources that it is unknown of. The
    share that is known to answer ``no`` is a finding all the same, however much else is unknown.
    """

    def read(row: Row) -> Sample:
        unit = str(row.context.get("unit", "rows"))
        if uncounted := _named(row.context.get("uncounted")):
            return Absent(f"the number of {unit} is not stated of {listed(uncounted)}")
        n = int(row.values[0])
        if not n:
            return Absent(f"no {unit}")
        if f"{criterion}:yes" not in row.columns:
            return Absent("nothing was asked: the check names neither licences nor uses")
        unknown, found = (int(row.column(f"{criterion}:{word}")) for word in ("unknown", counted))
        if unknown and not (counted == "no" and found):
            of = _named(cast("Mapping[str, Any]", row.context.get("unknown", {})).get(criterion))
            return Absent(f"unknown for {unknown:,} of {n:,} {unit}: {listed(of)}")
        return Census(found / n, n, "census-at-least" if unknown else "census")

    return read


def _named(found: Any) -> list[str]:
    return [str(name) for name in cast("list[Any]", found)] if isinstance(found, list) else []


def listed(names: Sequence[str]) -> str:
    """Write a few names, and how many more there are."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _add(
    identifier: str,
    title: str,
    criterion: str,
    formula: str,
    *,
    counted: Literal["yes", "no"] = "yes",
    better: Literal["higher", "lower"] | None = "higher",
) -> None:
    ideal = None if better is None else 1.0 if better == "higher" else 0.0
    add_metric(
        Metric(
            identifier, title, ideal=ideal, better=better,
            readers={SOURCES: _reader(criterion, counted)}, parameter="unit", counts="parameter",
            formula=formula,
            source="counted over what the sources state",
        ),
        compared=False,
    )  # fmt: skip


_add(
    "compatible_licence_rate", "Share under a compatible licence", "compatible_licence",
    "units of sources whose licence is allowed / units",
)  # fmt: skip
_add(
    "incompatible_licence_rate", "Share under an incompatible licence", "compatible_licence",
    "units of sources whose licence is known not to be allowed / units",
    counted="no", better="lower",
)  # fmt: skip
_add("known_licence_rate", "Share with a known licence", "known_licence",
     "units of sources that state a licence / units")  # fmt: skip
_add("known_origin_rate", "Share with a known origin", "known_origin",
     "units of sources that state an origin / units")  # fmt: skip
_add("known_collection_dates_rate", "Share with known dates of collection",
     "known_collection_dates",
     "units of sources that state when they were collected / units")  # fmt: skip
_add(
    "legal_basis_rate", "Share with a legal basis", "legal_basis",
    "units of sources that hold no personal data, or state a basis that fits them / units",
)  # fmt: skip
_add("synthetic_rate", "Share of synthetic data", "synthetic",
     "units of sources that are synthetic / units", better=None)  # fmt: skip
_add("opt_outs_honoured_rate", "Share whose opt-outs were honoured", "opt_outs_honoured",
     "units of sources that honoured opt-outs / units")  # fmt: skip
_add("declared_personal_data_rate", "Share declared to be personal data", "personal_data",
     "units of sources that hold personal data / units", better=None)  # fmt: skip
_add(
    "declared_special_category_rate", "Share declared to be of special categories",
    "special_category", "units of sources that hold data of special categories / units",
    better=None,
)  # fmt: skip
_add(
    "documented_source_rate", "Share whose sources state all that is required", "documented",
    "units of sources that state every required field / units",
)  # fmt: skip
