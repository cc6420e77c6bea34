"""Model checkpoints: their digest and their tensors, without ever unpickling one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from auditor.errors import InputError
from auditor.provenance.digests import file_digest

__all__ = ["checkpoint_manifest"]

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
        "digests": [file_digest(file, method="sha256")],
        "tensors": tensors,
        "parameters": parameters,
    }


def _read_safetensors(file: Path) -> tuple[int, int]:
    """Read the shapes from the header; the library checks that the tensors fill the file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="np") as tensors:
            shapes = [tensors.get_slice(name).get_shape() for name in tensors.keys()]  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"a damaged safetensors file ({reason})", where=str(file)) from None
    return len(shapes), sum(math.prod(shape) for shape in shapes)


def _read_weights(file: Path) -> tuple[int, int]:
    import torch

    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 -- bytes that are no weights raise anything at all
        reason = str(error).splitlines()[0].split(". ")[0] if str(error) else type(error).__name__
        raise InputError(
            f"the checkpoint is not plain weights ({reason})", where=str(file), valid=_VALID
        ) from None
    found = [t for t in _leaves(state) if isinstance(t, torch.Tensor)]
    return len(found), sum(t.numel() for t in found)


def _leaves(state: Any) -> list[Any]:
    if isinstance(state, dict):
        return [leaf for value in state.values() for leaf in _leaves(value)]
    if isinstance(state, (list, tuple)):
        return [leaf for value in state for leaf in _leaves(value)]
    return [state]
