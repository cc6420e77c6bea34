"""The header of a safetensors file: names, types and shapes, without reading one weight."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.errors import InputError

__all__ = ["Tensor", "read_header", "unique_keys"]

_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "I16": 16, "U16": 16,
    "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64,
    "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
_LARGEST = 100_000_000  # the limit of the format itself
_MOST_DIMENSIONS, _MOST_ELEMENTS = 64, 1 << 60


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor by its header: type as the format writes it, shape, and where its bytes lie."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def elements(self) -> int:
        """The number of its elements."""
        return math.prod(self.shape)


def read_header(file: Path) -> Mapping[str, Tensor]:
    """Read the tensors of a safetensors file from its header.

    The tensors have to fill the rest of the file without holes and overlaps, as the format demands
    (safetensors, "Format"). Raises :class:`InputError` with the reason for any other file.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little") if size >= 8 else -1
            if not 2 <= length <= min(_LARGEST, size - 8):
                raise _damaged(file, "the length of its header does not fit the file")
            content = stream.read(length)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"the file cannot be read: {reason}", where=str(file)) from None
    try:
        document = json.loads(content, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError):
        raise _damaged(file, "its header is not JSON with keys that are there once") from None
    if not isinstance(document, dict):
        raise _damaged(file, "its header is no mapping")
    document.pop("__metadata__", None)
    tensors = {name: _tensor(file, name, entry) for name, entry in document.items()}
    _check_cover(file, tensors, size - 8 - length)
    return tensors


def _tensor(file: Path, name: str, entry: Any) -> Tensor:
    fields: dict[str, Any] = entry if isinstance(entry, dict) else {}
    dtype: Any = fields.get("dtype")
    shape: Any = fields.get("shape")
    offsets: Any = fields.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise _damaged(file, f"tensor {name!r} has no type that is known")
    if not _whole(shape) or len(shape) > _MOST_DIMENSIONS:
        raise _damaged(file, f"tensor {name!r} has no shape")
    if not _whole(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise _damaged(file, f"tensor {name!r} has no offsets")
    elements = 1
    for width in shape:  # step by step: the product of hostile sizes would be a number of megabytes
        elements *= width
        if elements > _MOST_ELEMENTS:
            raise _damaged(file, f"tensor {name!r} is too large")
    if elements * _BITS[dtype] != 8 * (offsets[1] - offsets[0]):
        raise _damaged(file, f"the shape of tensor {name!r} does not fit its bytes")
    return Tensor(dtype, tuple(shape), offsets[0], offsets[1])


def _check_cover(file: Path, tensors: Mapping[str, Tensor], size: int) -> None:
    reached = 0
    for tensor in sorted(tensors.values(), key=lambda tensor: (tensor.start, tensor.end)):
        if tensor.start != reached:
            what = "overlap" if tensor.start < reached else "leave a hole"
            raise _damaged(file, f"its tensors {what}")
        reached = tensor.end
    if reached != size:
        raise _damaged(file, "its tensors do not fill the file")


def _whole(values: Any) -> bool:
    return isinstance(values, list) and all(
        type(value) is int and 0 <= value < 1 << 63 for value in values
    )


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a mapping of JSON's pairs; raises ``ValueError`` where a key is there twice.

    Of two equal keys every reader takes another one, so that a file says different things to them.
    """
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key is there twice")
    return document


def _damaged(file: Path, reason: str) -> InputError:
    return InputError(
        f"a damaged safetensors file ({reason})", where=str(file),
        valid="a file as the safetensors library writes it",
    )  # fmt: skip
