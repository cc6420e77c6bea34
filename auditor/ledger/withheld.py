"""What a redacted copy of a run withholds: files that are missing, documents shown in part.

``redaction.json`` names them; ``redacted/`` holds the documents of which some rows are shown. Only
what the seal binds can be withheld, and what is shown is held against the root that the ledger has
of the document. So whoever makes a copy can leave out, and cannot add or alter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from auditor.errors import RunError
from auditor.evidence import Value, sha256
from auditor.ledger.chain import Ledger
from auditor.ledger.encoding import read_json
from auditor.ledger.layout import HEAD, KEY, LEDGER, POLICY, REDACTED, REDACTION
from auditor.ledger.openings import Shown, committed_rows, read_redacted
from auditor.ledger.storage import read_file

__all__ = ["NEVER_WITHHELD", "REDACTION_SCHEMA", "RedactionNote", "Withheld", "read_withheld"]

REDACTION_SCHEMA = "auditor/redaction/v1"
NEVER_WITHHELD = frozenset({LEDGER, HEAD, KEY, POLICY})


class RedactionNote(Value):
    """The content of ``redaction.json``.

    ``head`` is the digest of the file ``head``; ``redacted`` the number of withheld rows by
    document; ``min_cell`` the smallest number of records of a slice that is shown.
    """

    schema_: Annotated[Literal["auditor/redaction/v1"], Field(alias="schema")]
    run: str
    head: str
    min_cell: int
    withheld: tuple[str, ...]
    redacted: dict[str, int]


@dataclass(frozen=True, slots=True)
class Withheld:
    """What a copy withholds: files by name, and documents with what is shown of them."""

    files: frozenset[str] = frozenset()
    documents: Mapping[str, Shown] = field(default_factory=dict[str, Shown])

    @property
    def missing(self) -> frozenset[str]:
        """The files that the seal binds and that are not there."""
        return self.files | self.documents.keys()

    @property
    def added(self) -> frozenset[str]:
        """The files that are there, and that the seal does not bind."""
        if not self.missing:
            return frozenset()
        return frozenset({REDACTION, *(f"{REDACTED}/{name}" for name in self.documents)})

    @property
    def number(self) -> int:
        """Files and rows together."""
        return len(self.files) + sum(shown.withheld for shown in self.documents.values())


def read_withheld(folder: Path, ledger: Ledger) -> Withheld:
    """Read what a copy withholds; nothing of a run that is no copy.

    Raises :class:`RunError` or :class:`InputError` where the note is not what it should be, or
    where a document shows something that the ledger did not commit to.
    """
    path = folder / REDACTION
    if not path.exists():
        return Withheld()
    seal = ledger.seal
    bound = seal.body.get("files") if seal else None
    if not isinstance(bound, dict):
        raise RunError("a copy of a run that was not sealed", where=REDACTION)
    note = RedactionNote.from_json(_json(path, REDACTION), where=REDACTION)
    names = {*note.withheld, *note.redacted}
    if len(names) != len(note.withheld) + len(note.redacted) or not names:
        raise RunError("a file is named twice, or none is", where=REDACTION)
    for name in sorted(names):
        if name not in bound or name in NEVER_WITHHELD:
            raise RunError(f"{name[:200]!r} is no file that can be withheld", where=REDACTION)
        if (folder / name).exists():
            raise RunError(f"{name} is said to be withheld, and is there", where=REDACTION)
    if note.head != sha256(_bytes(folder / HEAD, HEAD)):
        raise RunError("the copy was made of another head", where=REDACTION)
    committed = committed_rows(ledger)
    documents: dict[str, Shown] = {}
    for name, rows in note.redacted.items():
        where = f"{REDACTED}/{name}"
        if name not in committed:
            raise RunError("the ledger did not commit to the rows of this document", where=where)
        shown = read_redacted(_json(folder / where, where), committed[name], where=where)
        if (shown.document, shown.digest, shown.withheld) != (name, bound[name], rows):
            raise RunError(f"this is not {name} with {rows:,} rows withheld", where=where)
        documents[name] = shown
    return Withheld(frozenset(note.withheld), documents)


def _json(path: Path, where: str) -> object:
    try:
        return read_json(_bytes(path, where))
    except ValueError as error:
        raise RunError(f"not JSON ({error})", where=where) from None


def _bytes(path: Path, where: str) -> bytes:
    try:
        return read_file(path)
    except OSError as error:
        raise RunError(f"cannot be read: {error.strerror}", where=where) from None
