"""What counts of a run that was interrupted and resumed.

A training that is resumed from a checkpoint goes back to the moment at which the checkpoint was
taken. The ledger keeps what was recorded since, and an entry ``resumed`` says that it is
superseded::

    {"step": the last step of the state, "look": the last look, "entries": the number of entries
     that the ledger had when the state was taken}

So the entries from number ``entries`` up to the ``resumed`` one do not count any more. That holds
for what a loop repeats (:data:`REPEATED`); how data were made, registered and measured does not
change by it.
"""

from __future__ import annotations

from collections.abc import Iterable

from auditor.ledger.chain import Entry, Ledger

__all__ = ["REPEATED", "RESUMED", "Spans", "counting", "resumed_body", "spans_of"]

RESUMED = "resumed"
"""The type of the entry by which a run goes on from a state."""

REPEATED = frozenset({"steps", "measurement", "look", "gate"})
"""The types of entries that a training which is resumed makes again; not measurements of data."""


class Spans:
    """The parts of a ledger that count, from the ``resumed`` entries in it.

    A resumption may itself be superseded by one from an earlier, or another, state.
    """

    def __init__(self, resumptions: Iterable[tuple[int, int]], size: int) -> None:
        self._spans: list[tuple[int, int]] = []
        end = size
        for seq, entries in sorted(resumptions, reverse=True):
            if seq < end:
                self._spans.append((seq, end))
                end = entries
        self._spans.append((0, end))

    def __contains__(self, seq: int) -> bool:
        return any(start <= seq < end for start, end in self._spans)


def resumed_body(entry: Entry) -> tuple[int, int, int] | None:
    """Return step, look and entries of a ``resumed`` entry; ``None`` where it does not say them."""
    numbers = [entry.body.get(name) for name in ("step", "look", "entries")]
    if len(entry.body) != 3 or any(type(number) is not int or number < 0 for number in numbers):
        return None
    step, look, entries = (int(str(number)) for number in numbers)
    return (step, look, entries) if 0 < entries <= entry.seq else None


def spans_of(entries: Iterable[Entry], size: int) -> Spans:
    """Return what counts, given the ``resumed`` entries of a ledger of ``size`` entries."""
    found = [(entry.seq, body[2]) for entry in entries if (body := resumed_body(entry))]
    return Spans(found, size)


def counting(ledger: Ledger, *types: str) -> tuple[Entry, ...]:
    """Return the entries of these types that count, in their order."""
    entries = ledger.of_type(*types)
    resumptions = ledger.of_type(RESUMED)
    if not resumptions:
        return entries
    spans = spans_of(resumptions, len(ledger.lines))
    return tuple(e for e in entries if e.seq in spans or not _is_repeated(e))


def _is_repeated(entry: Entry) -> bool:
    of_data = entry.type == "measurement" and entry.body.get("stage") == "data"
    return entry.type in REPEATED and not of_data
