"""The measurements that a ledger tells of, and which of them count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from auditor.errors import RunError
from auditor.evidence import Stage
from auditor.ledger import LEDGER, Entry, RunRecord
from auditor.ledger.resumed import counting

__all__ = ["Measurement", "last_measurements", "measurements"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One entry of type ``measurement``: a check with its fields, at a stage, and its statistics.

    ``reason`` and ``error`` say why there are no statistics.
    """

    entry: Entry
    spec: Mapping[str, Any]
    stage: Stage
    statistics: tuple[str, ...]

    @property
    def check(self) -> str:
        """The id of the check."""
        return str(self.spec.get("id"))

    @property
    def where(self) -> str:
        """The place of the entry."""
        return f"{LEDGER}, entry {self.entry.seq}"

    @property
    def unmeasured(self) -> tuple[str, bool] | None:
        """Why there is nothing, and whether that is an error; ``None`` for a measurement."""
        reason, error = self.entry.body.get("reason"), self.entry.body.get("error")
        if reason is None and error is None:
            return None
        return str(error or reason), error is not None

    @property
    def measured(self) -> bool:
        """Whether there are statistics."""
        return self.unmeasured is None


def measurements(record: RunRecord) -> tuple[Measurement, ...]:
    """Return the measurements that count after a resumption, in their order.

    Raises :class:`RunError` naming a malformed one.
    """
    return tuple(_read(entry) for entry in counting(record.ledger, "measurement"))


def last_measurements(record: RunRecord) -> dict[tuple[str, Stage], Measurement]:
    """Return the measurement that counts, by check and stage: a later one replaces an earlier."""
    return {(found.check, found.stage): found for found in measurements(record)}


def _read(entry: Entry) -> Measurement:
    where = f"{LEDGER}, entry {entry.seq}"
    spec, digests = entry.body.get("check"), entry.body.get("statistics")
    try:
        stage = Stage(str(entry.body.get("stage")))
    except ValueError:
        stated = str(entry.body.get("stage"))[:40]
        raise RunError(f"unknown stage {stated!r}", where=where) from None
    if not isinstance(spec, Mapping) or not isinstance(digests, list):
        raise RunError("a measurement without check or statistics", where=where)
    names = tuple(str(digest) for digest in cast("list[object]", digests))
    return Measurement(entry, cast("Mapping[str, Any]", spec), stage, names)
