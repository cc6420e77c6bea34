"""Values far from the others of their column, infinite ones, and records far from the others."""

from __future__ import annotations

from auditor.metrics.metric import Metric, add_metric
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Census, Proportion, Sample

__all__ = ["ISOLATION", "OUTLIERS"]

OUTLIERS = "outlier-counts"
ISOLATION = "isolation-counts"


def _outside(row: Row) -> Sample:
    if row.parameter in row.context["unscaled"]:
        return Absent("half of the values or more are equal, so there is no unit of distance")
    finite = int(row.column(f"finite:{row.parameter}"))
    if not finite:
        return Absent("no finite value")
    return Census(row.column(f"outside:{row.parameter}") / finite, finite)


def _infinite(row: Row) -> Sample:
    infinite = int(row.column(f"infinite:{row.parameter}"))
    known = infinite + int(row.column(f"finite:{row.parameter}"))
    return Census(infinite / known, known) if known else Absent("no known value")


def _isolated(row: Row) -> Sample:
    n = int(row.values[0])
    return Proportion(float(row.values[1]), n) if n else Absent("no record was drawn")


add_metric(
    Metric(
        "outlier_rate", "Share of outlying values", ideal=0.0, better="lower",
        readers={OUTLIERS: _outside}, parameter="column",
        formula="values with 0.6745 |x − median| / MAD above the check's bound / finite values; "
        "median and MAD are those of everybody",
        source="Iglewicz and Hoaglin (1993), How to detect and handle outliers",
    )
)  # fmt: skip
add_metric(
    Metric(
        "infinite_rate", "Share of infinite values", ideal=0.0, better="lower",
        readers={OUTLIERS: _infinite}, parameter="column",
        formula="infinite values / known values", source="counted over the whole table",
    )
)  # fmt: skip
add_metric(
    Metric(
        "isolated_rate", "Share of isolated records", ideal=0.0, better="lower",
        readers={ISOLATION: _isolated},
        formula="drawn records whose isolation score is above the check's bound / drawn records",
        source="Liu, Ting and Zhou (2008), Isolation forest",
    )
)  # fmt: skip
