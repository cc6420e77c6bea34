"""When a verdict was given: between the entry before its gate, and the gate."""

from __future__ import annotations

from auditor.ledger import VERDICT, Entry, Fault, RunRecord

__all__ = ["moment_faults"]


def moment_faults(record: RunRecord, gate: Entry, evaluated_at: str) -> tuple[Fault, ...]:
    """Hold the moment against which waivers were held against the ledger, to the second."""
    before = record.ledger.entries[gate.seq - 1]
    if str(before.time)[:19] <= evaluated_at[:19] <= str(gate.time)[:19]:
        return ()
    return (Fault(where=VERDICT, what="evaluated_at is not the time of the gate"),)
