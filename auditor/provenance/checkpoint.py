"""Model checkpoints: their digest and their tensors, without ever unpickling one."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path
from typing import Any

from auditor.errors import InputError
from auditor.provenance.digests import file_digest

__all__ = ["checkpoint_manifest"]

_MOST_HEADER = 100 << 20
_VALID = "a .safetensors file, or weights that torch.load(weights_only=True) reads"


def checkpoint_manifest(path: str | Path) -> dict[str, Any]:
    """Return file name, format, size, digest, and the number of tensors and parameters.

    Raises :class:`InputError` for a file that is missing, damaged, or that would have to be
    unpickled to be read.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise InputError("no such checkpoint", where=str(path), valid=_VALID)
    if file.suffix == ".safetensors":
        kind, (tensors, parameters) = "safetensors", _read_safetensors(file)
    else:
        kind, (tensors, parameters) = "torch-weights-only", _read_weights(file)
    return {
        "file": file.name,
        "format": kind,
        "bytes": file.stat().st_size,
        "digest": file_digest(file),
        "tensors": tensors,
        "parameters": parameters,
    }


def _read_safetensors(file: Path) -> tuple[int, int]:
    size = file.stat().st_size
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > min(size - 8, _MOST_HEADER):
                raise ValueError("the header is longer than the file")
            header = json.loads(stream.read(length))
        entries = [entry for name, entry in header.items() if name != "__metadata__"]
        ends = [entry["data_offsets"][1] for entry in entries]
        if 8 + length + max(ends, default=0) != size:
            raise ValueError("the file is cut off or too long")
        shapes = [entry["shape"] for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise InputError(f"a damaged safetensors file ({error})", where=str(file)) from None
    return len(shapes), sum(_product(shape) for shape in shapes)


def _read_weights(file: Path) -> tuple[int, int]:
    import torch

    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"the checkpoint is not plain weights ({reason})", where=str(file), valid=_VALID
        ) from None
    tensors = [t for t in _flatten(state) if isinstance(t, torch.Tensor)]
    return len(tensors), sum(t.numel() for t in tensors)


def _flatten(state: Any) -> list[Any]:
    if isinstance(state, dict):
        return [leaf for value in state.values() for leaf in _flatten(value)]
    if isinstance(state, (list, tuple)):
        return [leaf for value in state for leaf in _flatten(value)]
    return [state]


def _product(shape: list[int]) -> int:
    out = 1
    for size in shape:
        out *= int(size)
    return out
