"""Whether the ledger commits to the rows that the documents of a run have."""

from __future__ import annotations

from auditor.errors import RunError
from auditor.ledger import Fault, RunRecord
from auditor.ledger.layout import SALTS
from auditor.ledger.openings import commit_document, committed_rows

__all__ = ["check_openings", "seed_of"]


def check_openings(record: RunRecord) -> list[Fault]:
    """Hold the roots that the ledger has of documents against the documents of a whole run.

    A root of something else would let a copy show what the run never held.
    """
    faults: list[Fault] = []
    seed = seed_of(record)
    for name, committed in committed_rows(record.ledger).items():
        if name not in record.files:
            faults.append(Fault(where=name, what="the ledger commits to rows of no such file"))
        elif commit_document(name, record.document(name), seed) != committed:
            faults.append(Fault(where=name, what="the ledger commits to other rows than these"))
    return faults


def seed_of(record: RunRecord) -> bytes:
    """Return the seed of the salts of a run; raises :class:`RunError` where there is none."""
    document = record.document(SALTS)
    try:
        seed = bytes.fromhex(document["seed"])
    except (KeyError, TypeError, ValueError):
        seed = b""
    if len(seed) != 32:
        raise RunError("there is no seed of 32 bytes", where=str(record.path / SALTS))
    return seed
