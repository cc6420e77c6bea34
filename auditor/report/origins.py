"""Where data and model come from, and what of that can be proved: from the ledger of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from auditor.errors import InputError
from auditor.ledger import STATEMENTS, RunRecord
from auditor.provenance.lineage import lineage_of
from auditor.provenance.lineage_graph import lineage_svg
from auditor.provenance.sources import Source, sources_from_body
from auditor.report.charts import Svg
from auditor.report.fields import Fields
from auditor.report.numbers import count_text, size_text
from auditor.report.subject import Fact
from auditor.report.text import shown

__all__ = ["Origins", "SourceRow", "make_origins"]

_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A source of data as a row of a table; what is unknown says so."""

    name: str
    licence: str
    origin: str
    collected: str
    basis: str
    people: str
    made: str
    rows: str


@dataclass(frozen=True, slots=True)
class Origins:
    """What stands behind data and model.

    ``lineage`` is a picture of how the data were made; ``unreadable`` names what the ledger says
    that could not be read. ``withheld`` is the number of files and rows that a redacted copy
    withholds.
    """

    sources: tuple[SourceRow, ...]
    lineage: Svg | None
    unreadable: tuple[str, ...]
    base_models: tuple[tuple[Fact, ...], ...]
    records: tuple[Fact, ...]
    statements: tuple[str, ...]
    withheld: int


def make_origins(record: RunRecord) -> Origins:
    """Gather sources, lineage, base models, commitments and statements."""
    sources, broken = _sources([e.body for e in record.ledger.of_type("sources")])
    steps = [entry.body for entry in record.ledger.of_type("derivation")]
    lineage, misfits = lineage_of(steps)
    return Origins(
        sources=tuple(_row(source) for source in sources),
        lineage=Svg(lineage_svg(lineage)) if lineage.derivations else None,
        unreadable=tuple(shown(text) for text in (*broken, *misfits)),
        base_models=tuple(_base_model(Fields(e.body)) for e in record.ledger.of_type("base-model")),
        records=tuple(_records(record)),
        statements=_statements(record),
        withheld=record.withheld.number,
    )


def _sources(bodies: Sequence[Any]) -> tuple[tuple[Source, ...], list[str]]:
    found: dict[str, Source] = {}
    problems: list[str] = []
    for body in bodies:
        try:
            found |= {source.name: source for source in sources_from_body(body, where="sources")}
        except InputError as error:
            problems.append(str(error))
    return tuple(found.values()), problems


def _row(source: Source) -> SourceRow:
    collected = source.collected
    parts = [] if collected is None else [collected.start or "?", collected.end or "?"]
    people = {None: _UNKNOWN, True: "personal data", False: "no personal data"}[source.personal]
    if source.special_categories:
        people += ": " + ", ".join(source.special_categories)
    made = {None: _UNKNOWN, True: "synthetic", False: "collected"}[source.synthetic]
    if source.generator:
        made += f", by {source.generator}"
    rows = source.rows
    tokens = "" if source.tokens is None else f", {count_text(source.tokens)} tokens"
    return SourceRow(
        name=shown(source.name),
        licence=shown(source.licence or _UNKNOWN),
        origin=shown(source.origin or _UNKNOWN),
        collected=shown(" to ".join(dict.fromkeys(parts)) if any(p != "?" for p in parts)
                        else _UNKNOWN),
        basis=_UNKNOWN if source.consent is None else shown(", ".join(source.consent) or "none"),
        people=shown(people),
        made=shown(made),
        rows=(_UNKNOWN if rows is None else count_text(rows)) + tokens,
    )  # fmt: skip


def _base_model(body: Fields) -> tuple[Fact, ...]:
    """Return what the ledger says of a model that was fine-tuned."""
    parameters = [
        f"{count_text(number)} {shown(kind)}"
        for kind, value in body.pairs("weights", "parameters_by_type")
        if (number := value.number()) is not None
    ]
    size = sum(file.number("bytes") or 0 for file in body.each("files"))
    facts = [
        Fact("Base model", body.text("name")),
        Fact("Digest", body.text("digest"), code=True),
        Fact("Licence", ", ".join(body.texts("licence", "value")) or None,
             lines=_by(body.at("licence"))),
        Fact("Trained on", ", ".join(body.texts("training_data", "value")) or None,
             lines=_by(body.at("training_data"))),
        Fact("Parameters", ", ".join(parameters) or None),
        Fact("Size", size_text(size) if size else None),
        Fact("Compute", None if (flop := body.number("compute", "flop")) is None
             else f"{flop:.3g} FLOP", lines=_by(body.at("compute"))),
        Fact("Tokenizer", body.text("tokenizer", "digest"), code=True),
    ]  # fmt: skip
    facts += [
        Fact("Adapter of", adapter.text("base_model"), lines=tuple(
            f"rank {rank}" for rank in [adapter.text("rank")] if rank
        ))
        for adapter in body.each("adapters")
    ]  # fmt: skip
    if unopened := body.texts("not_opened"):
        facts.append(Fact("Not opened", ", ".join(unopened), lines=("pickles run code",)))
    return tuple(facts)


def _by(stated: Fields) -> tuple[str, ...]:
    by = stated.text("by")
    return () if by in (None, _UNKNOWN) else (f"as the {by.replace('-', ' ')} says",)


def _records(record: RunRecord) -> Sequence[Fact]:
    """Return to how many record ids and steps the run committed."""
    facts = [
        Fact(
            f"Records of {body.text('split') or '?'}",
            f"{count_text(body.number('count'))} committed to",
            lines=(body.text("root") or "",),
        )
        for entry in record.ledger.of_type("records")
        for body in [Fields(entry.body)]
    ]
    steps = [Fields(entry.body) for entry in record.ledger.of_type("steps")]
    if steps:
        total = sum(body.number("count") or 0 for body in steps)
        consumed = sum(body.number("records") or 0 for body in steps)
        facts.append(
            Fact("Training steps", f"{count_text(total)}, which consumed {count_text(consumed)} "
                 "records, each step with a commitment to its records")
        )  # fmt: skip
    return facts


def _statements(record: RunRecord) -> tuple[str, ...]:
    if record.sealed:
        return tuple(sorted(n for n in record.files if n.startswith(f"{STATEMENTS}/")))
    folder = record.path / STATEMENTS
    return tuple(sorted(f"{STATEMENTS}/{path.name}" for path in folder.glob("*")))
