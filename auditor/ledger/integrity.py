"""Is a run folder exactly what its ledger binds, and who vouches for the ledger?

The ledger is checked entry by entry, the folder against the seal, the head against the ledger, and
the signature against the signer that entry 0 names. Findings and verdicts are not computed here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from auditor.errors import InputError, RunError
from auditor.evidence import Value, sha256
from auditor.ledger.chain import Entry, Ledger, LedgerFault, examine_ledger
from auditor.ledger.encoding import is_digest
from auditor.ledger.layout import (
    FINDINGS,
    HEAD,
    KEY,
    LEDGER,
    POLICY,
    REDACTION,
    REGISTER,
    RUN_JSON,
    SEAL,
    origin_of,
)
from auditor.ledger.listing import Listing, digest_file, list_folder
from auditor.ledger.locks import holder_of
from auditor.ledger.note import Head, Signature, parse_head
from auditor.ledger.storage import read_file
from auditor.ledger.stored import read_ledger
from auditor.ledger.verifying import VerifyingKey
from auditor.ledger.withheld import Withheld, read_withheld

__all__ = ["Fault", "Integrity", "check_integrity", "examine_run"]

_MISSING = "the file is missing"
_LARGEST = 16 * 2**20
"""The most bytes of a head, a key or a policy."""


class Fault(Value):
    """One thing that is off: where, and what."""

    where: str
    what: str


class Integrity(Value):
    """What :func:`check_integrity` found.

    ``signed``: the signer of entry 0 signed the head. ``signer``: its public key as a line, where
    entry 0 names one. ``pinned``: that signer is the key that the caller trusts. ``head_digest``:
    ``sha256:…`` of the root of the ledger as it lies there, to be written down and given as
    ``head=`` another day. ``interrupted``: nothing is off but that the run was never sealed.
    """

    faults: tuple[Fault, ...]
    signed: bool
    signer: str | None
    pinned: bool
    entries: int
    sealed: bool
    head_digest: str
    interrupted: bool = False
    withheld: int = 0

    @property
    def intact(self) -> bool:
        """Whether nothing is off."""
        return not self.faults


@dataclass(frozen=True)
class _Registration:
    """What entry 0 says, as far as it says it."""

    run: str | None = None
    signer: VerifyingKey | None = None
    names_signer: bool = False
    policy_digest: str | None = None


def check_integrity(
    path: str | Path, *, key: VerifyingKey | None = None, head: str | None = None
) -> Integrity:
    """Examine every byte of a run folder and list what is off.

    Parameters
    ----------
    path:
        The run folder.
    key:
        The signer whom the caller trusts. A run that is not signed by it has a fault.
    head:
        The digest of the head as the caller knows it (``sha256:…``, see
        :attr:`Integrity.head_digest`). Another one is a fault.

    Raises
    ------
    RunError
        Where ``path`` is no run folder at all, or is being written by another process.
    InputError
        Where ``head`` is not a digest.
    """
    return examine_run(path, key=key, head=head)[0]


def examine_run(
    path: str | Path, *, key: VerifyingKey | None = None, head: str | None = None
) -> tuple[Integrity, Ledger]:
    """Do what :func:`check_integrity` does, and return the ledger that was examined, too."""
    folder = Path(path).expanduser()
    if head is not None and not is_digest(head):
        raise InputError(
            f"{head[:80]!r} is not a digest", where="--head", valid="sha256:<64 hex digits>"
        )
    listing = _list_run(folder)
    faults = [Fault(where=name, what=what) for name, what in listing.odd.items()]
    faults += [Fault(where=name, what="an empty folder") for name in listing.empty_folders]

    ledger, chain_faults = _read_ledger(folder, listing, faults)
    faults += [Fault(where=fault.where or LEDGER, what=fault.what) for fault in chain_faults]
    ends = list(_end_faults(ledger))
    faults += ends
    registration = _registration(ledger, faults)
    withheld = _withheld(folder, ledger, faults)
    faults += _seal_faults(folder, ledger, listing, withheld)
    faults += _bound_by_entry_0(folder, registration, listing)

    root = ledger.root()
    signed = _check_head(folder, ledger, root, registration, listing, faults)
    digest = f"sha256:{root.hex()}"
    if head is not None and head != digest:
        faults.append(Fault(where="--head", what=f"the head of this run is {digest}"))
    signer = registration.signer
    pinned = key is not None and signer is not None and key.public == signer.public
    if key is not None and not pinned:
        who = f"signed by {signer}" if signer else "not signed"
        faults.append(Fault(where="--key", what=f"the run is {who}, and not by the key given"))
    interrupted = (
        ledger.registration is not None
        and not ledger.of_type(SEAL)
        and all(fault in (*ends, Fault(where=HEAD, what=_MISSING)) for fault in faults)
    )
    integrity = Integrity(
        faults=tuple(dict.fromkeys(faults)),  # a lost file is missed by more than one rule
        signed=signed,
        signer=None if signer is None else str(signer),
        pinned=pinned and signed,
        entries=len(ledger.lines),
        sealed=ledger.seal is not None and not ledger.torn,
        head_digest=digest,
        interrupted=interrupted,
        withheld=withheld.number,
    )
    return integrity, ledger


def _read_ledger(
    folder: Path, listing: Listing, faults: list[Fault]
) -> tuple[Ledger, tuple[LedgerFault, ...]]:
    if LEDGER in listing.files:
        try:
            return read_ledger(folder / LEDGER)
        except OSError as error:
            faults.append(Fault(where=LEDGER, what=f"cannot be read: {error.strerror}"))
    elif LEDGER not in listing.odd:
        faults.append(Fault(where=LEDGER, what=_MISSING))
    return examine_ledger(b"")


def _list_run(folder: Path) -> Listing:
    try:
        listing = list_folder(folder)
    except OSError as error:
        raise RunError(
            f"the folder cannot be read: {error.strerror}",
            where=str(folder),
            valid="the folder of a run",
        ) from None
    present = {*listing.files, *listing.odd}
    if present.isdisjoint((LEDGER, HEAD, RUN_JSON, FINDINGS, KEY)):
        raise RunError(
            f"not a run: there is no {LEDGER}", where=str(folder), valid="the folder of a run"
        )
    if holder_of(folder / LEDGER) == "another process":
        raise RunError("the run is being written by another process", where=str(folder))
    return listing


def _read(folder: Path, name: str, listing: Listing, faults: list[Fault]) -> bytes | None:
    """Read a regular file; a missing one is a fault, one that is odd was listed as one."""
    if name not in listing.files:
        if name not in listing.odd:
            faults.append(Fault(where=name, what=_MISSING))
        return None
    try:
        return read_file(folder / name, most=_LARGEST)
    except OSError as error:
        faults.append(Fault(where=name, what=f"cannot be read: {error.strerror}"))
        return None


def _end_faults(ledger: Ledger) -> Iterator[Fault]:
    if ledger.torn:
        yield Fault(
            where=f"{LEDGER}, after entry {len(ledger.lines) - 1}",
            what="an incomplete line: the writer was interrupted, or the file was cut",
        )
    seals = [entry.seq for entry in ledger.of_type(SEAL)]
    if ledger.seal is None:
        yield Fault(
            where=LEDGER,
            what="the last entry is not a seal: the run was interrupted, or the file was cut",
        )
    elif len(seals) > 1:
        yield Fault(where=LEDGER, what=f"there are entries after the seal, entry {seals[0]}")


def _registration(ledger: Ledger, faults: list[Fault]) -> _Registration:
    where = f"{LEDGER}, entry 0"
    first = ledger.entries[0] if ledger.entries else None
    if first is None or first.seq != 0:
        return _Registration()
    if first.type != REGISTER:
        faults.append(Fault(where=where, what=f"the run starts with {first.type!r}"))
    return _Registration(
        run=_run_name(first, faults),
        signer=_signer(first, faults),
        names_signer=first.body.get("signer") is not None,
        policy_digest=_policy_digest(first, faults),
    )


def _run_name(first: Entry, faults: list[Fault]) -> str | None:
    run = first.body.get("run")
    if isinstance(run, str) and run:
        return run
    faults.append(Fault(where=f"{LEDGER}, entry 0", what="the run has no name"))
    return None


def _signer(first: Entry, faults: list[Fault]) -> VerifyingKey | None:
    where = f"{LEDGER}, entry 0"
    if "signer" not in first.body:
        faults.append(Fault(where=where, what="nothing is said about a signer"))
        return None
    line = first.body["signer"]
    if line is None:
        return None
    try:
        return VerifyingKey.parse(str(line))
    except InputError as error:
        faults.append(Fault(where=f"{where}, signer", what=error.what))
        return None


def _policy_digest(first: Entry, faults: list[Fault]) -> str | None:
    policy = first.body.get("policy")
    if policy is None:
        return None
    digest = (
        cast("Mapping[str, object]", policy).get("digest") if isinstance(policy, dict) else None
    )
    if not is_digest(digest):
        faults.append(Fault(where=f"{LEDGER}, entry 0, policy", what="there is no digest"))
    return str(digest)


def _withheld(folder: Path, ledger: Ledger, faults: list[Fault]) -> Withheld:
    """Read what a redacted copy withholds; a copy that is not one withholds nothing."""
    try:
        return read_withheld(folder, ledger)
    except InputError as error:
        faults.append(Fault(where=error.where or REDACTION, what=error.what))
        return Withheld()


def _seal_faults(
    folder: Path, ledger: Ledger, listing: Listing, withheld: Withheld
) -> Iterator[Fault]:
    """Hold the folder against the files that the seal lists."""
    if ledger.seal is None:
        return
    files = ledger.seal.body.get("files")
    if not isinstance(files, dict) or len(ledger.seal.body) != 1:
        yield Fault(where=f"{LEDGER}, the seal", what="it does not list the files of the run")
        return
    bound = cast("Mapping[str, object]", files)
    present = [n for n in listing.files if n not in (LEDGER, HEAD) and n not in withheld.added]
    for name in sorted(bound.keys() - {*present, *listing.odd} - withheld.missing):
        yield Fault(where=name, what=_MISSING)
    for name in present:
        if name not in bound:
            yield Fault(where=name, what="the file was added after the seal")
            continue
        try:
            changed = digest_file(folder / name) != bound[name]
        except OSError as error:
            yield Fault(where=name, what=f"cannot be read: {error.strerror}")
        else:
            if changed:
                yield Fault(where=name, what="the file was changed after the seal")


def _bound_by_entry_0(
    folder: Path, registration: _Registration, listing: Listing
) -> Iterator[Fault]:
    """Hold the key and the policy against entry 0, which was written before them all."""
    signer, digest = registration.signer, registration.policy_digest
    unreadable: list[Fault] = []
    if signer is not None:
        written = _read(folder, KEY, listing, unreadable)
        if written is not None and written != f"{signer}\n".encode():
            yield Fault(where=KEY, what="this is not the signer that entry 0 names")
    elif KEY in listing.files and not registration.names_signer:
        yield Fault(where=KEY, what="there is a key, and entry 0 names no signer")
    if digest is not None:
        text = _read(folder, POLICY, listing, unreadable)
        if text is not None and sha256(text) != digest:
            yield Fault(where=POLICY, what="this is not the policy that entry 0 registered")
    elif POLICY in listing.files:
        yield Fault(where=POLICY, what="there is a policy, and entry 0 registered none")
    yield from unreadable


def _check_head(
    folder: Path,
    ledger: Ledger,
    root: bytes,
    registration: _Registration,
    listing: Listing,
    faults: list[Fault],
) -> bool:
    """Hold the head against the ledger and the signer; return whether it is signed by it."""
    data = _read(folder, HEAD, listing, faults)
    if data is None:
        return False
    try:
        head, signatures = parse_head(data)
    except InputError as error:
        faults.append(Fault(where=HEAD, what=error.what))
        return False
    if head.size != len(ledger.lines):
        faults.append(
            Fault(where=HEAD, what=f"{head.size} entries, but there are {len(ledger.lines)}")
        )
    if head.root != root:
        faults.append(Fault(where=HEAD, what="the root is not that of the ledger"))
    if registration.run is not None and head.origin != origin_of(registration.run):
        faults.append(Fault(where=HEAD, what="the head belongs to another run"))
    found = list(_signature_faults(head, signatures, registration))
    faults += [Fault(where=HEAD, what=what) for what in found]
    return bool(signatures) and not found


def _signature_faults(
    head: Head, signatures: tuple[Signature, ...], registration: _Registration
) -> Iterator[str]:
    signer = registration.signer
    if not registration.names_signer:
        if signatures:
            yield f"signed by {signatures[0].name}, but entry 0 names no signer"
        return
    if not signatures:
        yield "the signature was stripped: entry 0 names a signer"
        return
    if signer is None:  # named in a way that cannot be read, which is a fault of its own
        yield "the signature cannot be checked"
        return
    first, *more = signatures
    if more:
        yield "there is more than one signature"
    if not first.is_by(signer):
        yield f"signed by {first.name}, not by the signer {signer} of entry 0"
    elif not signer.verify(first.signature, head.text):
        yield f"the signature by {signer.name} does not verify"
