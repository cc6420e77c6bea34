"""A run folder while it is written: from a free place to the seal."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path, PurePosixPath
from typing import Any, Self

from auditor.errors import InputError, RunError
from auditor.evidence import PolicyReference, canonical_json, sha256
from auditor.ledger.chain import Entry
from auditor.ledger.documents import document_name, read_document
from auditor.ledger.keys import SigningKey
from auditor.ledger.layout import HEAD, KEY, LEDGER, POLICY, REGISTER, SEAL, origin_of
from auditor.ledger.listing import Listing, digest_file, list_folder
from auditor.ledger.note import Head, format_head
from auditor.ledger.state import PathState, StateKind, state_of
from auditor.ledger.storage import (
    LARGEST_DOCUMENT,
    StagedFile,
    sync_folder,
    write_atomically,
)
from auditor.ledger.verifying import VerifyingKey
from auditor.ledger.writer import Clock, Durability, LedgerWriter, utc_now

__all__ = ["RunFolder"]

_STAGED = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


class RunFolder:
    """A run folder that this process fills; made by :meth:`create`, finished by :meth:`seal`.

    ``name`` is the name of the run: that of its folder. The order of a run is ``create``,
    ``writer``, ``register`` (entry 0), any number of ``write``, ``put_evidence`` and entries, and
    ``seal``. Every file is written in one step, so that a full disk or an interruption leaves the
    files as they were.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.resolve().name
        self._sealed = False
        self._sealing: LedgerWriter | None = None

    @classmethod
    def create(cls, path: str | Path) -> Self:
        """Make the folder, with its parents, where there is nothing or an empty folder.

        Raises :class:`InputError` otherwise, saying what is there: a finished run, an interrupted
        one, one that somebody is writing, a file, or something else. Nothing is overwritten.
        """
        folder = Path(path).expanduser()
        try:
            state = state_of(folder)
            if state.kind is not StateKind.FREE:
                raise _refusal(folder, state)
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(folder.parent)
        except OSError as error:
            raise InputError(
                f"the run folder cannot be made: {error.strerror}",
                where=str(path),
                valid="a folder that you may write, as --out",
            ) from None
        run = cls(folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InputError("the folder cannot be written", where=str(path))
        if not run.name or not run.name.isprintable():
            raise InputError(
                "the folder's name cannot be the name of a run",
                where=ascii(str(path)),
                valid="printable characters",
            )
        return run

    @classmethod
    def reopen(cls, path: str | Path) -> Self:
        """Take up the folder of an interrupted run, and what an interruption left beside files.

        Raises :class:`InputError` where there is no such run, and :class:`RunError` where it is
        finished. One that somebody is writing is told when its ledger is opened.
        """
        folder = Path(path).expanduser()
        try:
            state = state_of(folder)
        except OSError as error:
            raise InputError(
                f"the run folder cannot be read: {error.strerror}", where=str(path)
            ) from None
        if state.kind not in (StateKind.INTERRUPTED, StateKind.LOCKED):
            raise _refusal(folder, state)
        return cls(folder)

    def drop_staged(self) -> None:
        """Remove the files that were complete or half written, and never put in their place."""
        for path in self.path.rglob(".*.tmp"):
            if _STAGED.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Remove a file of the run; nothing happens where it is not there."""
        self._refuse_if_sealed()
        (self.path / name).unlink(missing_ok=True)

    @property
    def sealed(self) -> bool:
        """Whether the run is finished: nothing can be written any more."""
        return self._sealed

    def writer(self, *, clock: Clock = utc_now, durable: Durability = "entry") -> LedgerWriter:
        """Create the ledger and lock it; raises :class:`RunError` where somebody else did."""
        return LedgerWriter(self.path, clock=clock, durable=durable)

    def reopened_writer(self, *, clock: Clock = utc_now) -> LedgerWriter:
        """Go on with the ledger that is there; raises :class:`RunError`."""
        return LedgerWriter(self.path, clock=clock, go_on=True)

    def register(
        self,
        writer: LedgerWriter,
        *,
        signer: VerifyingKey | None,
        policy: PolicyReference | None = None,
        policy_text: str | None = None,
        **details: Any,
    ) -> Entry:
        """Write entry 0: who will sign and which policy will judge, before any measurement.

        ``key.pub`` and ``policy.yaml`` are written first. The policy's digest must be the SHA-256
        of its text; ``details`` are further fields of the entry's body.
        """
        if (policy is None) != (policy_text is None) or (
            policy is not None
            and policy_text is not None
            and policy.digest != sha256(policy_text.encode())
        ):
            raise InputError("the policy's digest is not that of its text", where=POLICY)
        if writer.size:
            raise RunError("the run is registered already", where=str(writer.path))
        if policy_text is not None:
            self.write(POLICY, policy_text.encode())
        if signer is not None:
            self.write(KEY, f"{signer}\n".encode())
        body = details | {
            "run": self.name,
            "signer": None if signer is None else str(signer),
            "policy": None if policy is None else policy.model_dump(),
        }
        return writer.append(REGISTER, body)

    def write(self, name: str, data: bytes) -> None:
        """Write the file ``name`` (a relative POSIX path) in one step, replacing an older one.

        Raises :class:`RunError` where it cannot be written; the older one is then still there.
        """
        parts = PurePosixPath(name).parts
        if not parts or name != "/".join(parts) or parts[0] == "/" or ".." in parts:
            raise InputError(f"{name!r} is not a path inside a run", valid="for example run.json")
        if name in (LEDGER, HEAD):
            raise InputError(f"{name} is written by the ledger alone", where=str(self.path))
        self._refuse_if_sealed()
        target = self.path
        try:
            for part in parts[:-1]:
                target = target / part
                with contextlib.suppress(FileExistsError):
                    target.mkdir()
                    sync_folder(target.parent)
        except OSError as error:
            raise RunError(
                f"the folder cannot be made: {error.strerror}",
                where=str(target),
                valid="nothing that was there is damaged",
            ) from None
        write_atomically(target / parts[-1], data)

    def put_evidence(self, document: Any) -> str:
        """Keep a JSON document under the digest of its canonical form, once; return the digest."""
        data = canonical_json(document)
        if len(data) > LARGEST_DOCUMENT:
            raise InputError(
                f"evidence of {len(data):,} bytes", where=str(self.path),
                valid=f"at most {LARGEST_DOCUMENT:,}",
            )  # fmt: skip
        digest = sha256(data)
        name = document_name(digest)
        self._refuse_if_sealed()
        if not (self.path / name).exists():
            self.write(name, data)
        return digest

    def evidence(self, digest: str) -> Any:
        """Read a document back and check its digest; raises :class:`RunError`."""
        return read_document(self.path, digest)

    def files(self) -> dict[str, str]:
        """Return the digest of every file but the ledger and the head, by relative POSIX path.

        Raises :class:`RunError` for links and anything else that a digest cannot bind.
        """
        try:
            listing = list_folder(self.path)
            self._refuse_odd(listing)
            return {
                name: digest_file(self.path / name)
                for name in listing.files
                if name not in (LEDGER, HEAD)
            }
        except OSError as error:
            raise RunError(
                f"the folder cannot be read: {error.strerror}", where=str(self.path)
            ) from None

    def seal(self, writer: LedgerWriter, key: SigningKey | None) -> Head:
        """Bind every file in the last entry, write the head, and close the writer.

        The head is complete on the disk before the entry is written, and put in its place after
        it: a full disk leaves a run that is not sealed and can be sealed later. An interruption
        between the two is raised after the head is in its place; calling this again is harmless.

        Raises :class:`RunError` where the key is not the signer that entry 0 names, and for a
        folder that cannot be bound.
        """
        if self._sealed:
            raise self._is_sealed()
        self._refuse_another_signer(writer, key)
        self._sealing = writer
        if writer.sealed:
            head = Head(origin=origin_of(self.name), size=writer.size, root=writer.root())
            write_atomically(self.path / HEAD, format_head(head, key))
        else:
            self._drop_empty_folders()
            draft = writer.draft(SEAL, {"files": self.files()})
            head = Head(origin=origin_of(self.name), size=draft.size, root=draft.root())
            note = format_head(head, key)
            staged = StagedFile(self.path / HEAD, note)
            try:
                writer.commit(draft)
                staged.place()
            except BaseException:
                staged.discard()
                if writer.sealed:  # only the head is left to do: an interruption comes too late
                    write_atomically(self.path / HEAD, note)
                raise
        self._sealed = True
        writer.close()
        return head

    def _refuse_if_sealed(self) -> None:
        if self._sealed or (self._sealing is not None and self._sealing.sealed):
            raise self._is_sealed()

    def _is_sealed(self) -> RunError:
        return RunError(
            "the run is sealed; nothing is written after the seal",
            where=str(self.path),
            valid="another folder",
        )

    def _refuse_another_signer(self, writer: LedgerWriter, key: SigningKey | None) -> None:
        where = str(self.path)
        if writer.path.parent.resolve() != self.path.resolve():
            raise RunError("the writer belongs to another run", where=where)
        first = writer.first
        if first is None or first.type != REGISTER or first.body.get("run") != self.name:
            raise RunError("entry 0 does not register this run", where=where, valid="register()")
        signer = None if key is None else str(key.verifying_key)
        if first.body.get("signer") != signer:
            raise RunError(
                "the run would be signed by another key than entry 0 names",
                where=where,
                valid=first.body.get("signer") or "no key",
            )

    def _refuse_odd(self, listing: Listing) -> None:
        for name, what in listing.odd.items():
            raise RunError(f"{name} {what}", where=str(self.path), valid="regular files only")

    def _drop_empty_folders(self) -> None:
        """Remove the folders that no digest would bind."""
        for name in reversed(list_folder(self.path).empty_folders):
            with contextlib.suppress(OSError):
                (self.path / name).rmdir()


def _refusal(path: Path, state: PathState) -> InputError:
    where = str(path)
    if state.kind is StateKind.OTHER:
        return InputError(state.detail, where=where, valid="choose another --out")
    valid = {
        StateKind.FINISHED: "nothing was overwritten; choose another --out",
        StateKind.INTERRUPTED: "nothing was overwritten; choose another --out",
        StateKind.LOCKED: "wait for it, or choose another --out",
    }[state.kind]
    return RunError(state.detail, where=where, valid=valid)
