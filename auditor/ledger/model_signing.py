"""Signatures of models in the format of OpenSSF model-signing 1.0, made and verified.

A signature is a Sigstore bundle: a DSSE envelope around an in-toto statement whose predicate lists
a digest for every file (or shard) of the model, signed by an elliptic curve key. The stock
``python -m model_signing verify key`` accepts what :func:`sign_model` gives, and
:func:`verify_model` accepts what the stock signs with a key. A signature says which files make up
the model; it says nothing about the data, the training or the judgement. Those are in the run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from auditor.errors import InputError
from auditor.evidence import Value
from auditor.ledger.integrity import Fault
from auditor.ledger.model_bundle import (
    ModelSignature,
    check_serialization,
    read_model_signature,
    relative_path,
    signed_bundle,
)
from auditor.ledger.model_files import (
    ModelListing,
    Piece,
    Serialization,
    hash_pieces,
    list_model,
    pieces_of,
)
from auditor.ledger.model_key import ModelKey, ModelVerifyingKey
from auditor.ledger.storage import write_atomically

__all__ = [
    "ModelVerification",
    "sign_model",
    "verify_model",
    "verify_model_signature",
    "write_model_signature",
]

_LARGEST = 16 * 2**20
_MOST_SHOWN = 100


class ModelVerification(Value):
    """What was found: ``files`` that the signature binds, and the faults.

    ``unbound`` are files of the model that are there and that no digest speaks of: paths that the
    signer left out, and empty files where the method is ``shards``.
    """

    model: str
    files: int
    hint: str | None
    unbound: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def intact(self) -> bool:
        """Whether nothing is off."""
        return not self.faults


def sign_model(
    model: str | Path,
    key: ModelKey,
    *,
    serialization: Serialization | None = None,
    ignored: Sequence[str] = (),
) -> bytes:
    """Return the signature of a file or a folder: a Sigstore bundle as JSON.

    ``ignored`` are relative paths of the folder that the signature leaves out, and names as left
    out; a signature that will lie inside the folder is one of them. Raises :class:`InputError` for
    links (unless ``allow_symlinks``), for what is neither file nor folder, and for an empty model.
    """
    path = Path(model).expanduser()
    method = check_serialization(serialization or Serialization(), where=str(model))
    left_out = (*method.ignore_paths, *(relative_path(name) for name in ignored))
    method = method.model_copy(update={"ignore_paths": tuple(dict.fromkeys(left_out))})
    listing = list_model(path, method)
    for name, what in listing.odd.items():
        raise InputError(f"{name} {what}", where=str(model), valid="files that a digest can bind")
    pieces = sorted(
        piece for file, size in listing.sizes.items() for piece in pieces_of(file, size, method)
    )
    if not pieces:
        raise InputError("there is nothing to sign", where=str(model))
    if method.method == "shards" and any(":" in piece.file for piece in pieces):
        raise InputError("a file name with a colon cannot be sharded", where=str(model))
    digests = hash_pieces(path, pieces, method.hash_type)
    return signed_bundle(path.name or path.resolve().name, digests, method, key)


def write_model_signature(
    model: str | Path, key: ModelKey, *, signature: str | Path | None = None
) -> Path:
    """Sign a checkpoint and write the signature beside it in one step; return where it lies.

    Without ``signature`` that is ``<checkpoint>.sig``. One that is there already is replaced.
    """
    path = Path(model).expanduser()
    target = path.with_name(f"{path.name}.sig") if signature is None else Path(signature)
    inside = _inside(path, target)
    write_atomically(target, sign_model(path, key, ignored=() if inside is None else (inside,)))
    return target


def verify_model(
    model: str | Path,
    signature: bytes,
    key: ModelVerifyingKey,
    *,
    ignored: Sequence[str] = (),
    where: str = "signature",
) -> ModelVerification:
    """Hold a model against its signature, file by file, by the method that the signature names.

    ``ignored`` are relative paths that may lie in the folder unsigned: the signature itself. Raises
    :class:`InputError` where the signature or the model cannot be read; what does not agree is a
    fault. Nothing of the model is looked at where the signature does not verify.
    """
    read = read_model_signature(signature, where=where)
    result = ModelVerification(
        model=read.model, files=len({read.file_of(name) for name in read.digests}), hint=read.hint
    )
    if not key.verify(read.signature, read.signed) or read.hint not in (None, key.hint):
        fault = Fault(where=where, what="not signed by the key given")
        return result.model_copy(update={"faults": (fault,)})
    path = Path(model).expanduser()
    listing = list_model(path, read.serialization, ignored=ignored)
    faults = (*_odd(listing), *_differences(path, listing, read))
    shown = faults[:_MOST_SHOWN]
    if len(faults) > len(shown):
        shown += (Fault(where=str(model), what=f"{len(faults) - len(shown):,} more differences"),)
    return result.model_copy(
        update={"faults": shown, "unbound": tuple(_unbound(path, listing, read, ignored))}
    )


def verify_model_signature(
    signature: str | Path, model: str | Path, public_key: str | Path | ModelVerifyingKey
) -> ModelVerification:
    """Verify the signature in a file; what is off with its content is a fault too.

    Raises :class:`InputError` where one of the three cannot be read at all.
    """
    file, path = Path(signature).expanduser(), Path(model).expanduser()
    key = (
        public_key
        if isinstance(public_key, ModelVerifyingKey)
        else ModelVerifyingKey.load(public_key)
    )
    try:
        with file.open("rb") as opened:
            data = opened.read(_LARGEST + 1)
    except OSError as error:
        raise InputError(
            f"the signature cannot be read: {error.strerror}", where=str(signature)
        ) from None
    try:
        read_model_signature(data, where=file.name)
    except InputError as error:
        fault = Fault(where=file.name, what=error.what)
        return ModelVerification(model=path.name, files=0, hint=None, faults=(fault,))
    inside = _inside(path, file)
    ignored = () if inside is None else (inside,)
    return verify_model(path, data, key, ignored=ignored, where=file.name)


def _differences(path: Path, listing: ModelListing, read: ModelSignature) -> Iterator[Fault]:
    """Compare names and sizes first, and hash only what has its place in the signature."""
    expected: dict[str, set[str]] = {}
    for name in read.digests:
        expected.setdefault(read.file_of(name), set()).add(name)
    waiting: list[Piece] = []
    for file in sorted({*expected, *listing.sizes}):
        if file not in listing.sizes:
            if file not in listing.odd:
                yield Fault(where=file, what="the file is missing")
            continue
        size, step = listing.sizes[file], read.serialization.shard_size
        shards = 1 if step is None else -(-size // step)
        if file not in expected:
            if shards:
                yield Fault(where=file, what="the file was added after the signature")
        elif shards != len(expected[file]):  # before its shards are listed, which may be many
            yield Fault(where=file, what="the file was changed: it has another size")
        else:
            pieces = list(pieces_of(file, size, read.serialization))
            if {piece.name for piece in pieces} == expected[file]:
                waiting += pieces
            else:
                yield Fault(where=file, what="the file was changed: it has another size")
    found = hash_pieces(path, waiting, read.serialization.hash_type)
    changed = {p.file for p in waiting if found[p.name] != read.digests[p.name]}
    for file in sorted(changed):
        yield Fault(where=file, what="the file was changed after the signature")


def _odd(listing: ModelListing) -> Iterator[Fault]:
    for name, what in listing.odd.items():
        yield Fault(where=name, what=what)


def _unbound(
    path: Path, listing: ModelListing, read: ModelSignature, ignored: Sequence[str]
) -> Iterator[str]:
    for name in read.serialization.ignore_paths:
        if name not in ignored and path.is_dir() and os.path.lexists(path / name):
            yield name
    if read.serialization.method == "shards":
        yield from (file for file, size in listing.sizes.items() if not size)


def _inside(model: Path, file: Path) -> str | None:
    """Return the path of ``file`` relative to the folder ``model``, where it lies in it."""
    try:
        relative = file.absolute().resolve().relative_to(model.absolute().resolve())
    except ValueError:
        return None
    return relative.as_posix() if relative.parts else None
