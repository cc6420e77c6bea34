"""Near duplicates, contained texts and shared entities: shares counted over whole tables."""

from __future__ import annotations

from collections.abc import Callable

from auditor.metrics.metric import Metric, add_metric
from auditor.metrics.row import Row
from auditor.metrics.samples import Absent, Census, Sample

__all__ = ["CONTAINED", "ENTITIES", "NEAR_OVERLAP", "NEAR_REPEATED"]

NEAR_REPEATED = "near-repeated-counts"
NEAR_OVERLAP = "near-overlap-counts"
CONTAINED = "contained-counts"
ENTITIES = "shared-entity-counts"


def _share(over: str, under: str, empty: str) -> Callable[[Row], Sample]:
    """Read the share of one column in another; the context says how it was found, or why not."""

    def read(row: Row) -> Sample:
        if "reason" in row.context:
            return Absent(str(row.context["reason"]))
        n = int(row.column(under))
        if not n:
            return Absent(empty if row.column("records") else "no records")
        return Census(int(row.column(over)) / n, n, f"census-{row.context['method']}")

    return read


add_metric(
    Metric(
        "near_duplicate_rate", "Share of near-repeated records", ideal=0.0, better="lower",
        readers={NEAR_REPEATED: _share("found", "compared", "no record has a token")},
        parameter="table",
        formula="records whose Jaccard similarity to an earlier one is large enough / records",
        source="Broder (1997), On the resemblance and containment of documents",
    ),
    compared=False,
)  # fmt: skip
add_metric(
    Metric(
        "near_overlap_rate", "Share of records near one trained on", ideal=0.0, better="lower",
        readers={NEAR_OVERLAP: _share("found", "compared", "no record has a token")},
        parameter="table",
        formula="records whose Jaccard similarity to a training record is large enough / records; "
        "a paraphrase or a translation is not found",
        source="Broder (1997), On the resemblance and containment of documents",
    ),
    compared=False,
)  # fmt: skip
add_metric(
    Metric(
        "contained_rate", "Share of records contained in training text", ideal=0.0,
        better="lower", parameter="table",
        readers={CONTAINED: _share("found", "compared", "no text is long enough")},
        formula="records of whose n-grams enough occur in the training text / long enough records; "
        "a paraphrase or a translation is not found",
        source="Brown et al. (2020), Language models are few-shot learners, appendix C",
    ),
    compared=False,
)  # fmt: skip
add_metric(
    Metric(
        "entity_overlap_rate", "Share of records of entities also trained on", ideal=0.0,
        better="lower", parameter="table",
        readers={ENTITIES: _share("found", "compared", "no record names an entity")},
        formula="records whose entity has training records / records with an entity",
        source="Kapoor and Narayanan (2023), Leakage and the reproducibility crisis, L3.2",
    ),
    compared=False,
)  # fmt: skip
add_metric(
    Metric(
        "shared_entity_rate", "Share of entities also trained on", ideal=0.0,
        better="lower", parameter="table",
        readers={ENTITIES: _share("shared", "entities", "no record names an entity")},
        formula="entities that also have training records / entities",
        source="Kapoor and Narayanan (2023), Leakage and the reproducibility crisis, L3.2",
    ),
    compared=False,
)  # fmt: skip
