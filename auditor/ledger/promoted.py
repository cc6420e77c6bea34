"""A promoted checkpoint, verified before it is used.

:func:`load_checkpoint` refuses what has no manifest, what was changed since, and what another key
signed. What is guaranteed: when it returned, every file below the path had the digests of the
manifest, and no other file lay there. Whoever may write the folder can change a file after that.
:meth:`Checkpoint.state_dict` is safe against it: it takes the digests of the very bytes in memory
that it then reads tensors from, and refuses others. A program that opens the files of
:attr:`Checkpoint.path` by itself needs a folder that only it can write.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.errors import CheckpointError, InputError
from auditor.evidence import Value
from auditor.ledger.checkpoint_files import (
    FileDigests,
    file_digests,
    listed_files,
    manifest_path,
    note_path,
)
from auditor.ledger.checkpoint_manifest import (
    LARGEST_MANIFEST,
    CheckpointManifest,
    read_manifest,
)
from auditor.ledger.integrity import Fault
from auditor.ledger.storage import read_file
from auditor.ledger.verifying import VerifyingKey

if TYPE_CHECKING:
    import torch

__all__ = [
    "Checkpoint",
    "CheckpointVerification",
    "is_checkpoint",
    "load_checkpoint",
    "verify_checkpoint",
]

_MOST_SHOWN = 100
_VALID = "a checkpoint that audit.checkpoint or audit.gate promoted"


class CheckpointVerification(Value):
    """What was found of a checkpoint.

    ``signer`` is the key that the manifest names and that signed it, as a line; ``pinned`` says
    that it is the key that the caller trusts. :attr:`exit_code` is 0 for signed by the key given, 3
    for intact but unsigned or not pinned, 1 for anything off.
    """

    checkpoint: str
    manifest: CheckpointManifest | None = None
    signer: str | None = None
    pinned: bool = False
    faults: tuple[Fault, ...] = ()

    @property
    def exit_code(self) -> int:
        """The exit code of ``auditor verify``."""
        if self.faults:
            return 1
        return 0 if self.pinned else 3

    def to_json(self) -> dict[str, Any]:
        """Return the machine-readable form."""
        return {
            "schema": "auditor/checkpoint-verification/v1",
            "checkpoint": self.checkpoint,
            "exit_code": self.exit_code,
            "intact": not self.faults,
            "signed": self.signer is not None,
            "pinned": self.pinned,
            "signer": self.signer,
            "manifest": None if self.manifest is None else self.manifest.document(),
            "faults": [fault.model_dump() for fault in self.faults],
        }


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was verified; see the module for what that guarantees.

    ``signer`` is the public key of the signer as a line, ``None`` where it is unsigned; ``pinned``
    says that it is the key that the caller gave.
    """

    path: Path
    manifest: CheckpointManifest = field(repr=False)
    signer: str | None
    pinned: bool

    def state_dict(self, name: str | None = None) -> dict[str, torch.Tensor]:
        """Read the weights; nothing is unpickled.

        Safetensors are read as such, ``.pt``, ``.pth`` and ``.bin`` by
        ``torch.load(weights_only=True)``, on the CPU. A folder's weights are the one file of
        weights in it, or the shards of its index (``*.index.json``); ``name`` chooses another file.
        Every file is held against the manifest again, in memory, before it is read, which needs
        memory for the file beside the tensors.

        Raises :class:`CheckpointError` for a file that changed since, and :class:`InputError` where
        it is not clear which file holds the weights, or where it is no plain weights.
        """
        from auditor.ledger.checkpoint_weights import read_state_dict

        return read_state_dict(self.path, self.manifest, name)


def is_checkpoint(path: Path) -> bool:
    """Whether there is a manifest at ``path``, or the note of a quarantine."""
    return path.exists() and (manifest_path(path).exists() or note_path(path).exists())


def load_checkpoint(
    path: str | Path, *, key: str | Path | VerifyingKey | None = None, unsigned: bool = False
) -> Checkpoint:
    """Verify a promoted checkpoint, a file or a folder, and return it; nothing is unpickled.

    Parameters
    ----------
    key:
        The public key (or its file, ``FILE.pub``) that must have signed the manifest. Without one
        the signer that the manifest names is reported as :attr:`Checkpoint.signer`: anybody can
        sign with a key of their own.
    unsigned:
        Whether to accept a manifest that nobody signed, which anybody could have written.

    Raises :class:`CheckpointError` for a checkpoint that is in quarantine or has no manifest, that
    another key or nobody signed, and for any file that was changed, added or removed.
    """
    if key is not None and unsigned:
        raise InputError("unsigned=True with a key", valid="one of them")
    result = verify_checkpoint(path, key=key)
    if result.faults:
        first, more = result.faults[0], len(result.faults) - 1
        text = f"{first.what} ({first.where})" if first.where != str(path) else first.what
        raise CheckpointError(
            f"{text}{f'; {more:,} more faults' if more else ''}", where=str(path), valid=_VALID
        )
    if result.manifest is None:  # there is a fault then, always
        raise CheckpointError("there is no manifest", where=str(path), valid=_VALID)
    if result.signer is None and not unsigned:
        raise CheckpointError(
            "the manifest is not signed: anybody could have written it", where=str(path),
            valid="a checkpoint of an audit with a key, or unsigned=True",
        )  # fmt: skip
    return Checkpoint(Path(path).expanduser(), result.manifest, result.signer, result.pinned)


def verify_checkpoint(
    path: str | Path, *, key: str | Path | VerifyingKey | None = None
) -> CheckpointVerification:
    """Hold a checkpoint against its manifest, file by file, and list what is off.

    Raises :class:`InputError` where there is nothing at ``path``, and for a key that is none.
    """
    checkpoint = Path(path).expanduser()
    trusted = key if key is None or isinstance(key, VerifyingKey) else VerifyingKey.load(key)
    if not checkpoint.exists():
        raise CheckpointError("no such checkpoint", where=str(path), valid=_VALID)
    result = CheckpointVerification(checkpoint=checkpoint.name)
    try:
        manifest = _manifest(checkpoint)
        faults = list(_differences(checkpoint, manifest))
    except CheckpointError as error:
        fault = Fault(where=error.where or str(path), what=error.what)
        return result.model_copy(update={"faults": (fault,)})
    signer = manifest.signer
    pinned = trusted is not None and signer is not None and trusted.public == signer.public
    if trusted is not None and not pinned:
        who = "not signed" if signer is None else f"signed by {signer}"
        faults.insert(0, Fault(where="key", what=f"it is {who}, and not by the key given"))
    if len(faults) > _MOST_SHOWN:
        more = Fault(where=str(path), what=f"{len(faults) - _MOST_SHOWN:,} more differences")
        faults = [*faults[:_MOST_SHOWN], more]
    return result.model_copy(
        update={
            "manifest": manifest, "faults": tuple(faults), "pinned": pinned,
            "signer": None if signer is None else str(signer),
        }
    )  # fmt: skip


def _manifest(checkpoint: Path) -> CheckpointManifest:
    note, where = note_path(checkpoint), manifest_path(checkpoint)
    if note.exists():
        raise CheckpointError(f"it is in quarantine; {note.name} says why", where=str(checkpoint))
    try:
        data = read_file(where, most=LARGEST_MANIFEST)
    except FileNotFoundError:
        raise CheckpointError(
            f"it was not promoted: there is no {where.name}", where=str(checkpoint)
        ) from None
    except OSError as error:
        raise CheckpointError(
            f"the manifest cannot be read: {error.strerror}", where=str(where)
        ) from None
    return read_manifest(data, where=str(where))


def _differences(checkpoint: Path, manifest: CheckpointManifest) -> list[Fault]:
    """Compare names and sizes first, and read only what has its place in the manifest."""
    kind = "folder" if checkpoint.is_dir() else "file"
    if kind != manifest.kind:
        what = f"the manifest speaks of a {manifest.kind}, and this is a {kind}"
        return [Fault(where=str(checkpoint), what=what)]
    bound = {file.name: file for file in manifest.files}
    there = listed_files(checkpoint)
    faults = [
        Fault(where=name, what="the file is missing" if name in bound else "the file was added")
        for name in sorted(bound.keys() ^ there.keys())
    ]
    same = sorted(bound.keys() & there.keys())
    faults += [
        Fault(where=name, what="the file was changed: it has another size")
        for name in same if there[name] != bound[name].bytes
    ]  # fmt: skip
    if faults:
        return faults
    found: tuple[FileDigests, ...] = file_digests(checkpoint, same)
    return [
        Fault(where=file.name, what="the file was changed")
        for file in found if file != bound[file.name]
    ]  # fmt: skip
