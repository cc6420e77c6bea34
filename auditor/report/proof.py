"""How a reader can check the record: its head, its signer, and the command that verifies it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from auditor.errors import InputError, RunError
from auditor.evidence import Finding
from auditor.ledger import RunRecord, VerifyingKey, check_integrity
from auditor.ledger.layout import LEDGER
from auditor.ledger.locks import holder_of
from auditor.ledger.resumed import RESUMED
from auditor.report.fields import Fields
from auditor.report.text import shown

__all__ = [
    "EvidenceItem",
    "LedgerLine",
    "Proof",
    "ledger_lines",
    "make_evidence",
    "make_proof",
    "time_text",
]

State = Literal["sealed", "open", "interrupted"]


@dataclass(frozen=True, slots=True)
class Proof:
    """What binds the record.

    ``state``: ``sealed``; ``open`` while the run is being finished, with this report to be bound
    by the seal; ``interrupted``. ``signed``: whether the signature was checked when this report was
    made, which is possible for a sealed run only. ``head`` is the root of the sealed ledger.
    """

    state: State
    signer: str | None
    fingerprint: str | None
    signed: bool
    key_note: str | None
    entry_0: str
    head: str | None
    entries: int
    command: str
    interruption: str | None
    registered_at: str
    last_at: str


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One entry of the ledger, as a line of a table."""

    seq: int
    time: str
    type: str
    what: str
    digest: str


@dataclass(frozen=True, slots=True)
class EvidenceItem:
    """A stored statistic: its short name in this report, its digest, and who measured it."""

    name: str
    digest: str
    file: str
    check: str | None
    stage: str | None
    entry: int | None


def make_proof(record: RunRecord, run: Fields) -> Proof:
    """Gather what binds the record.

    Raises :class:`RunError` for a sealed run that is not intact: a report of a record that
    somebody changed would lend it weight.
    """
    first = record.ledger.entries[0]
    signer, fingerprint = _signer(first.body)
    head, signed = None, False
    if record.sealed:
        integrity = check_integrity(record.path)
        for fault in integrity.faults:
            raise RunError(
                fault.what, where=str(record.path / fault.where),
                valid="`auditor verify` lists everything that is off",
            )  # fmt: skip
        head, signed = integrity.head_digest, integrity.signed
    state = _state(record)
    return Proof(
        state=state,
        signer=signer,
        fingerprint=fingerprint,
        signed=signed,
        key_note=run.text("key_note"),
        entry_0=first.digest,
        head=head,
        entries=len(record.ledger.entries),
        command=_command(record.name, signer, head),
        interruption=_interruption(record, state),
        registered_at=time_text(first.time),
        last_at=time_text(record.ledger.entries[-1].time),
    )


def make_evidence(record: RunRecord, findings: Sequence[Finding]) -> dict[str, EvidenceItem]:
    """Name every statistic that the ledger or a finding names, in the order of the ledger."""
    items: dict[str, EvidenceItem] = {}

    def add(digest: str, check: str | None, stage: str | None, entry: int | None) -> None:
        name = f"e{len(items) + 1}"
        file = f"evidence/{digest.removeprefix('sha256:')}.json"
        items.setdefault(digest, EvidenceItem(name, digest, file, check, stage, entry))

    for entry in record.ledger.entries:
        if entry.type != "measurement":
            continue
        body = Fields(entry.body)
        for digest in body.texts("statistics"):
            add(digest, body.text("check", "id"), body.text("stage"), entry.seq)
    for finding in findings:
        for digest in finding.evidence:
            if digest not in items:
                add(shown(digest), shown(finding.check), str(finding.stage), None)
    return items


def ledger_lines(record: RunRecord) -> tuple[LedgerLine, ...]:
    """Return the entries of the ledger, each with what it is about."""
    return tuple(
        LedgerLine(entry.seq, time_text(entry.time), shown(entry.type), _about(entry.body),
                   entry.digest)
        for entry in record.ledger.entries
    )  # fmt: skip


def time_text(moment: str) -> str:
    """Return a moment for people.

    >>> time_text("2026-11-01T12:00:00.250000Z")
    '2026-11-01 12:00:00 UTC'
    """
    day, separator, rest = shown(moment).partition("T")
    return f"{day} {rest.removesuffix('Z').partition('.')[0]} UTC" if separator else day


def _signer(body: Mapping[str, object]) -> tuple[str | None, str | None]:
    line = body.get("signer")
    if not isinstance(line, str):
        return None, None
    try:
        key = VerifyingKey.parse(line)
    except InputError:
        return shown(line), None
    return shown(key.name), key.fingerprint


def _state(record: RunRecord) -> State:
    if record.sealed:
        return "sealed"
    writing = holder_of(record.path / LEDGER) == "this process"
    return "open" if writing else "interrupted"


def _command(run: str, signer: str | None, head: str | None) -> str:
    parts = ["auditor verify", shlex.quote(shown(run))]
    if signer is not None:
        parts.append("--key SIGNER.pub")
    if head is not None:
        parts.append(f"--head {head}")
    return " ".join(parts)


def _interruption(record: RunRecord, state: State) -> str | None:
    for entry in reversed(record.ledger.entries):
        if entry.type == RESUMED:
            break  # it went on
        if entry.type == "interrupted":
            return Fields(entry.body).text("reason") or "no reason was recorded"
    if state == "interrupted":
        return "the run was cut off before its seal"
    return None


def _about(body: Mapping[str, object]) -> str:
    fields = Fields(body)
    parts = [
        fields.text("stage"), fields.text("check", "id"), fields.text("model"),
        fields.text("file"), fields.text("status"), fields.text("reason"), fields.text("error"),
    ]  # fmt: skip
    look = fields.text("look")
    if look is not None:
        parts.append(f"look {look}")
    return ", ".join(part for part in parts if part)
