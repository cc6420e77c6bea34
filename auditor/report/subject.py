"""What was judged and on what it stands: system, model, data, code, machine, by what is recorded.

Each fact is what ``run.json`` or a ledger entry says. What neither says is shown as not recorded;
nothing is filled in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from auditor.ledger import RunRecord
from auditor.report.fields import Fields
from auditor.report.numbers import count_text, percent_text, size_text
from auditor.report.text import shown

__all__ = ["Fact", "TableFacts", "checkpoint_facts", "environment_facts", "judged_facts",
           "model_facts", "packages", "people_facts", "table_facts"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fact:
    """A label and what is recorded of it; ``None`` is not recorded.

    ``code`` is set in a fixed font. ``lines`` are further values below the first.
    """

    label: str
    value: str | None
    code: bool = False
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A data set as it was registered."""

    split: str
    name: str
    rows: str
    columns: tuple[str, ...]
    digest: str | None
    method: str | None
    files: tuple[tuple[str, str, str], ...]


def people_facts(run: Fields) -> tuple[Fact, ...]:
    """Return what only people know: the system, who offers it, what it is for."""
    system = run.at("system")
    asked = (
        ("System", "name"), ("Provider", "provider"), ("Intended purpose", "purpose"),
        ("Users", "users"), ("Foreseeable misuse", "misuse"), ("Human oversight", "oversight"),
        ("Contacts", "contacts"),
    )  # fmt: skip
    facts = [
        Fact(label, found[0] if (found := system.texts(name)) else None, lines=found[1:])
        for label, name in asked
    ]
    named = {name for _, name in asked} | {"risks"}
    facts += [
        Fact(shown(name).capitalize(), text)
        for name, value in system.pairs()
        if name not in named and (text := value.text()) is not None
    ]
    return tuple(facts)


def judged_facts(run: Fields, registration: Fields, *, attached: bool = False) -> tuple[Fact, ...]:
    """Return how the predictions were read: target, prediction, groups, seed.

    ``attached``: a model was there to make the predictions, where no column is recorded.
    """
    audit = run.at("audit")
    by_model = "by the attached model" if attached else None
    threshold = audit.text("threshold")
    bins = [
        f"{shown(name)}: {', '.join(edges)}"
        for name, value in audit.pairs("bins")
        if (edges := value.texts())
    ]
    rows: list[Fact] = [
        Fact("Target", audit.text("target")),
        Fact("Prediction", audit.text("prediction") or by_model),
        Fact("Score", audit.text("score") or by_model),
    ]
    if threshold is not None:
        rows.append(Fact("Threshold", f"score ≥ {threshold}"))
    rows += _design(audit)
    if (positive := audit.text("positive")) is not None:
        rows.append(Fact("Positive value", positive))
    sensitive = audit.texts("sensitive")
    rows.append(Fact("Sensitive attributes", ", ".join(sensitive) or None))
    if bins:
        rows.append(Fact("Bins", bins[0], lines=tuple(bins[1:])))
    if (intersections := audit.text("intersections")) is not None:
        rows.append(Fact("Intersections", f"of up to {intersections} attributes"))
    if (reference := _reference(audit)) is not None:
        rows.append(Fact("Reference", reference))
    rows.append(Fact("Seed", run.text("seed") or registration.text("seed")))
    return tuple(rows)


_DESIGN = (
    ("Task", "task"), ("Weights", "weight"), ("Records a row stands for", "frequency"),
    ("Clusters", "cluster"), ("Strata", "strata"), ("Lists", "query"), ("Top lists of", "top"),
    ("Group sizes", "total"), ("Selected", "selected"), ("Scores counted", "resolution"),
)  # fmt: skip


def _design(audit: Fields) -> list[Fact]:
    """Return what is told of the records beside labels and groups, where anything is."""
    facts = [
        Fact(label, ", ".join(texts)) for label, name in _DESIGN if (texts := audit.texts(name))
    ]
    facts += [
        Fact(f"Membership of {shown(name)}",
             ", ".join(f"{shown(level)} by {column.text()}" for level, column in levels.pairs()))
        for name, levels in audit.pairs("membership")
    ]  # fmt: skip
    if audit.flag("unfavourable"):
        facts.append(Fact("Being selected", "is the bad outcome"))
    return facts


def model_facts(record: RunRecord) -> tuple[Fact, ...]:
    """Return what was attached and which checkpoint was sealed; empty for predictions alone."""
    facts: list[Fact] = []
    for entry in record.ledger.entries:
        body = Fields(entry.body)
        if entry.type == "attach":
            parameters = body.number("parameters")
            facts.append(Fact("Model", body.text("model")))
            if parameters is not None:
                facts.append(Fact("Parameters", count_text(parameters)))
            facts += [
                Fact(label, body.text(name))
                for label, name in (("Optimizer", "optimizer"), ("Criterion", "criterion"),
                                    ("Device", "device"))
                if body.text(name) is not None
            ]  # fmt: skip
    return tuple(facts)


def checkpoint_facts(record: RunRecord) -> tuple[tuple[Fact, ...], ...]:
    """Return every checkpoint that the ledger binds."""
    found: list[tuple[Fact, ...]] = []
    for entry in record.ledger.entries:
        if entry.type != "checkpoint":
            continue
        body = Fields(entry.body)
        size, tensors = body.number("bytes"), body.number("tensors")
        found.append((
            Fact("File", body.text("file")),
            Fact("Digest", body.text("digest"), code=True),
            Fact("Format", body.text("format")),
            Fact("Size", None if size is None else size_text(size)),
            Fact("Tensors", None if tensors is None else count_text(tensors)),
            Fact("Decision", body.text("decision")),
        ))  # fmt: skip
    return tuple(found)


def table_facts(record: RunRecord) -> tuple[TableFacts, ...]:
    """Return every data set that the ledger binds."""
    tables: list[TableFacts] = []
    for entry in record.ledger.entries:
        if entry.type != "data":
            continue
        found = sorted(Fields(entry.body).pairs("tables"), key=lambda pair: _split_order(pair[0]))
        tables += [_table(split, table) for split, table in found]
    return tuple(tables)


def environment_facts(run: Fields, registration: Fields) -> tuple[Fact, ...]:
    """Return code, interpreter, machine and what the audit cost."""
    code = run.at("code") or registration.at("code")
    commit = code.text("commit")
    dirty = code.flag("dirty")
    state = {True: "with uncommitted changes", False: "clean", None: None}[dirty]
    return (
        Fact("Code commit", commit, code=True, lines=() if state is None or commit is None else (
            (state, shown(changes)) if (changes := code.text("changes")) else (state,)
        )),
        Fact("auditor", run.text("auditor") or registration.text("auditor")),
        Fact("Python", run.text("python")),
        Fact("Platform", run.text("platform")),
        *_machine(run.at("machine")),
        *_cost(run.at("governor")),
    )  # fmt: skip


def packages(run: Fields) -> tuple[tuple[str, str], ...]:
    """Return the packages and versions that were there."""
    return tuple((shown(name), version.text() or "") for name, version in run.pairs("packages"))


_SPLITS = ("train", "validation", "test")


def _split_order(split: str) -> tuple[int, str]:
    return (_SPLITS.index(split) if split in _SPLITS else len(_SPLITS), split)


def _table(split: str, table: Fields) -> TableFacts:
    rows = table.number("rows")
    name = table.text("name")
    return TableFacts(
        split=shown(split),
        name="from memory" if name == f"{split}=" else name or "not recorded",
        rows=count_text(rows),
        columns=table.texts("columns"),
        digest=table.text("digest"),
        method=table.text("method"),
        files=tuple(
            (
                file.text("name") or "?",
                "" if (size := file.number("bytes")) is None else size_text(size),
                file.text("digest") or "not recorded",
            )
            for file in table.each("files")
        ),
    )


def _reference(audit: Fields) -> str | None:
    reference = audit.pairs("reference")
    groups = [f"{shown(name)} {value.text() or 'unknown'}" for name, value in reference]
    if groups:
        return ", ".join(groups)
    word = audit.text("reference")
    words = {
        "largest": "the largest group", "best": "the best group", "rest": "everybody else"
    }  # fmt: skip
    return None if word is None else words.get(word, word)


def _machine(machine: Fields) -> Iterable[Fact]:
    cores, memory = machine.number("cores"), machine.number("memory_bytes")
    parts = [
        machine.text("cpu_model") or machine.text("cpu"),
        None if cores is None else f"{count_text(cores)} cores",
        None if memory is None else size_text(memory),
    ]
    known = [part for part in parts if part]
    yield Fact("Machine", ", ".join(known) or None)
    accelerators = [_accelerator(item) for item in machine.each("accelerators")]
    if accelerators:
        yield Fact("Accelerators", accelerators[0], lines=tuple(accelerators[1:]))


def _accelerator(item: Fields) -> str:
    memory = item.number("memory_bytes")
    named = item.text() or item.text("name") or item.text("type") or "unnamed"
    return named if memory is None else f"{named}, {size_text(memory)}"


def _cost(governor: Fields) -> Sequence[Fact]:
    if not governor:
        return ()
    cost, budget = governor.number("cost"), governor.number("budget")
    fraction = governor.number("fraction")
    steps, observed = governor.number("batches"), governor.number("observed_batches")
    parts = [
        None if cost is None else f"{percent_text(cost, decimals=2)} of the step time",
        None if budget is None else f"budget {percent_text(budget, decimals=2)}",
        None
        if steps is None
        else f"{count_text(observed)} of {count_text(steps)} batches observed",
        None if fraction is None else f"sampling fraction {percent_text(fraction)}",
    ]
    known = [part for part in parts if part]
    return (Fact("Cost of the audit", ", ".join(known) or None),)
