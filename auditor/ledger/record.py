"""A run folder as a reader sees it: what was recorded, without a check of every file.

Whether the folder is intact is the question of :func:`auditor.ledger.integrity.check_integrity`.
Here only what is read is held against the digest that the seal binds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast

from auditor.errors import RunError
from auditor.evidence import Finding, Verdict, read_findings, read_verdict, sha256
from auditor.ledger.chain import Ledger
from auditor.ledger.documents import read_document
from auditor.ledger.encoding import read_json
from auditor.ledger.layout import FINDINGS, LEDGER, POLICY, RUN_JSON, VERDICT
from auditor.ledger.locks import holder_of
from auditor.ledger.storage import read_file
from auditor.ledger.stored import read_ledger
from auditor.ledger.withheld import Withheld, read_withheld

__all__ = ["RunRecord"]


@dataclass(frozen=True)
class RunRecord:
    """A run that was recorded; files are read when they are asked for, and once.

    ``name`` is the run's own name as entry 0 has it, whatever the folder is called now.
    """

    path: Path
    name: str
    ledger: Ledger

    @classmethod
    def load(cls, path: str | Path, *, sealed: bool = False, live: bool = False) -> Self:
        """Read the ledger of a run.

        ``live`` reads a run that another process is writing, too: the whole entries that are there
        at this moment, which no later one changes. (An entry whose write fails on a full disk is
        the only one that a writer takes back; the next one follows the entry before it.)

        Raises :class:`RunError` for a folder that is missing or no run, for one that another
        process is writing unless ``live`` is demanded, for a damaged ledger, and, where ``sealed``
        is demanded, for a run that was interrupted.
        """
        folder = Path(path).expanduser()
        ledger_file = folder / LEDGER
        if not folder.is_dir():
            what = "not a folder" if folder.exists() else "there is no such folder"
            raise RunError(what, where=str(path), valid="the folder of a run")
        if not ledger_file.is_file():
            raise RunError(
                f"not a run: there is no {LEDGER}", where=str(path), valid="the folder of a run"
            )
        if not live and holder_of(ledger_file) == "another process":
            raise RunError(
                "the run is being written by another process", where=str(path),
                valid="wait for it, or read what is there with live=True",
            )  # fmt: skip
        try:
            ledger, faults = read_ledger(ledger_file, where=str(ledger_file))
        except OSError as error:
            raise RunError(
                f"the ledger cannot be read: {error.strerror}", where=str(ledger_file)
            ) from None
        for fault in faults:
            raise fault
        record = cls.of(folder, ledger)
        if sealed and not record.sealed:
            raise RunError(
                f"an interrupted run, {len(ledger.lines)} entries: it was never sealed",
                where=str(path),
                valid="a finished run",
            )
        return record

    @classmethod
    def of(cls, folder: Path, ledger: Ledger) -> Self:
        """Return the record of a ledger that was read and examined already."""
        first = ledger.registration
        if first is None:
            raise RunError("entry 0 does not register a run", where=str(folder / LEDGER))
        name = first.body.get("run")
        return cls(folder, name if isinstance(name, str) else folder.resolve().name, ledger)

    @property
    def sealed(self) -> bool:
        """Whether the run was finished."""
        return self.ledger.seal is not None and not self.ledger.torn

    @property
    def torn(self) -> bytes:
        """The incomplete last line of an interrupted writer, set aside; no entry, and not lost."""
        return self.ledger.torn

    @cached_property
    def run(self) -> dict[str, Any]:
        """The content of ``run.json``; empty where an interrupted run has none."""
        if not self.sealed and not (self.path / RUN_JSON).exists():
            return {}
        document = self.document(RUN_JSON)
        if not isinstance(document, dict):
            raise RunError("not a JSON object", where=str(self.path / RUN_JSON))
        return cast("dict[str, Any]", document)

    @cached_property
    def policy_text(self) -> str | None:
        """The policy as it was registered, or ``None`` where none was."""
        first = self.ledger.registration
        if first is None or first.body.get("policy") is None:
            return None
        try:
            return self.read(POLICY).decode()
        except UnicodeDecodeError:
            raise RunError("not UTF-8", where=str(self.path / POLICY)) from None

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The findings, of a redacted copy those that it shows.

        Raises :class:`RunError` where there are none yet.
        """
        if FINDINGS in self.withheld.documents:
            shown = self.withheld.documents[FINDINGS]
            listed = [shown.rows[i] for i in sorted(shown.rows)]
            return read_findings({**shown.around, "findings": listed}, where=FINDINGS)
        return read_findings(self.document(FINDINGS), where=str(self.path / FINDINGS))

    @cached_property
    def verdict(self) -> Verdict | None:
        """The verdict, or ``None`` where no policy judged or it is withheld, even in part."""
        if VERDICT in self.withheld.missing:
            return None
        if VERDICT not in self._bound and not (self.path / VERDICT).exists():
            return None
        return read_verdict(self.document(VERDICT), where=str(self.path / VERDICT))

    @cached_property
    def withheld(self) -> Withheld:
        """What this copy of a run withholds; nothing, where it is the run itself."""
        return read_withheld(self.path, self.ledger)

    @property
    def files(self) -> dict[str, str]:
        """The digests that the seal binds, by relative POSIX path; empty before the seal."""
        return self._bound

    def statistic_document(self, digest: str) -> Any:
        """Read a document of ``evidence/`` and check its digest; raises :class:`RunError`."""
        return read_document(self.path, digest)

    @cached_property
    def _bound(self) -> dict[str, str]:
        """The digests that the seal binds, by path; empty before the seal."""
        seal = self.ledger.seal
        files = seal.body.get("files") if seal else None
        return cast("dict[str, str]", files) if isinstance(files, dict) else {}

    def read(self, name: str) -> bytes:
        """Return the bytes of a file of the run; raises :class:`RunError` for any but the bound."""
        path = self.path / name
        try:
            data = read_file(path)
        except OSError as error:
            raise RunError(f"the file cannot be read: {error.strerror}", where=str(path)) from None
        if self.sealed and sha256(data) != self._bound.get(name):
            raise RunError(
                "the file is not the one that the seal binds",
                where=str(path),
                valid="`auditor verify` tells what was changed",
            )
        return data

    def document(self, name: str) -> Any:
        """Return the content of a JSON file of the run; raises :class:`RunError`."""
        try:
            return read_json(self.read(name))
        except ValueError as error:
            raise RunError(f"not JSON ({error})", where=str(self.path / name)) from None
