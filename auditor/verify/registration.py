"""Does a verdict stand on what entry 0 registered before the first measurement?

Entry 0 names the policy, the checks with their fields, the seed and, where the data were known, the
evaluation split by its digest. What was chosen afterwards could have been chosen by its outcome.
Runs that registered no split say nothing about it, and are held against the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from auditor.errors import RunError
from auditor.evidence import Finding, Stage, Verdict
from auditor.ledger import LEDGER, REGISTER, VERDICT, Entry, Fault, RunRecord
from auditor.verify.measurements import last_measurements

__all__ = ["RegisteredSplit", "registered_seed", "registered_split", "registration_faults"]

_ENTRY_0 = f"{LEDGER}, entry 0"
_DIGEST = re.compile(r"(blake3|sha256):[0-9a-f]{64}")
_JUDGED = (Stage.EVALUATION, Stage.PRE_DEPLOYMENT)


@dataclass(frozen=True, slots=True)
class RegisteredSplit:
    """The data that entry 0 says the verdict will be about: the split's name and its digest."""

    name: str
    digest: str


def registered_seed(record: RunRecord) -> int:
    """Return the seed of entry 0 (0 in old runs); raises :class:`RunError` for no number."""
    seed = record.ledger.entries[0].body.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise RunError(f"the seed {str(seed)[:40]!r} is not a whole number", where=_ENTRY_0)
    return seed


def registered_split(record: RunRecord) -> RegisteredSplit | None:
    """Return the evaluation split of entry 0, if any; raises :class:`RunError` for no digest."""
    stated = record.ledger.entries[0].body.get("evaluation")
    if stated is None:
        return None
    fields = cast("Mapping[str, Any]", stated) if isinstance(stated, Mapping) else {}
    name, digest = fields.get("split"), fields.get("digest")
    if not isinstance(name, str) or not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise RunError("the evaluation split is registered without name or digest", where=_ENTRY_0)
    return RegisteredSplit(name, digest)


def registration_faults(
    record: RunRecord, findings: tuple[Finding, ...], verdict: Verdict, gate: Entry
) -> Iterator[Fault]:
    """Say where the verdict stands on anything but entry 0, naming the entry that does.

    Raises :class:`RunError` where entry 0 itself cannot be read.
    """
    for entry in record.ledger.of_type(REGISTER)[1:]:
        yield Fault(where=_entry(entry), what="a second registration; the first one counts")
    yield from _verdict_faults(record, verdict, gate)
    split = registered_split(record)
    if split is None:
        return
    cited = _cited(findings, verdict)
    for (check, stage), measurement in last_measurements(record).items():
        if stage not in _JUDGED or (check, stage) not in cited or not measurement.measured:
            continue
        named = measurement.entry.body.get("data")
        digest = cast("Mapping[str, Any]", named).get(split.name) if isinstance(
            named, Mapping) else None  # fmt: skip
        if digest != split.digest:
            said = "names no data" if digest is None else f"measures {str(digest)[:80]}"
            yield Fault(
                where=_entry(measurement.entry),
                what=f"{check} {said}, and entry 0 registered the {split.name} split "
                f"{split.digest}",
            )


def _verdict_faults(record: RunRecord, verdict: Verdict, gate: Entry) -> Iterator[Fault]:
    stated = record.ledger.entries[0].body.get("policy")
    if stated != verdict.policy.model_dump():
        yield Fault(where=VERDICT, what="it cites another policy than entry 0 registered")
    seed = registered_seed(record)
    if verdict.seed != seed:
        yield Fault(where=VERDICT, what=f"it cites seed {verdict.seed}, entry 0 registered {seed}")
    for field in ("stage", "status", "gate"):
        stated = gate.body.get(field)
        if stated is not None and stated != str(getattr(verdict, field)):
            yield Fault(
                where=_entry(gate),
                what=f"{field} {str(stated)[:40]!r}, and the verdict says "
                f"{str(getattr(verdict, field))!r}",
            )
    for (check, stage), measurement in last_measurements(record).items():
        if measurement.entry.seq > gate.seq and (check, stage) in _cited(record.findings, verdict):
            yield Fault(
                where=_entry(measurement.entry), what=f"{check} was measured after the last gate"
            )


def _cited(findings: tuple[Finding, ...], verdict: Verdict) -> set[tuple[str, Stage]]:
    """The check and stage of every finding that a rule of the verdict names."""
    numbers = {number for rule in verdict.rules for number in rule.findings}
    return {
        (findings[number].check, findings[number].stage)
        for number in numbers
        if 0 <= number < len(findings)
    }


def _entry(entry: Entry) -> str:
    return f"{LEDGER}, entry {entry.seq}"
