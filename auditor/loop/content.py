"""A digest of an item that carries no id: its content identifies it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

__all__ = ["CONTENT_SIZE", "item_digest"]

CONTENT_SIZE = 16
"""The bytes of a digest of an item (BLAKE2b-128)."""


def item_digest(item: Any) -> bytes:
    """Return the digest of an item of a data set: of numbers, text, tensors, and nests of them.

    Two items have the same digest where they hold equal values of equal types and shapes. Anything
    else counts by its ``repr``.

    >>> item_digest({"a": 1}) == item_digest({"a": 1}), item_digest([1]) == item_digest([1.0])
    (True, False)
    """
    hasher = hashlib.blake2b(digest_size=CONTENT_SIZE)
    _feed(hasher, item)
    return hasher.digest()


def _feed(hasher: Any, value: Any) -> None:
    if isinstance(value, torch.Tensor):
        plain = value.detach().cpu().contiguous()
        hasher.update(f"tensor {plain.dtype} {tuple(plain.shape)}\n".encode())
        hasher.update(plain.view(torch.uint8).numpy().tobytes() if plain.numel() else b"")
    elif isinstance(value, np.ndarray) and value.dtype != object:
        hasher.update(f"array {value.dtype} {value.shape}\n".encode())
        hasher.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, (bytes, bytearray)):
        hasher.update(f"bytes {len(value)}\n".encode() + bytes(value))
    elif isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
        hasher.update(f"text {len(data)}\n".encode() + data)
    elif isinstance(value, Mapping):
        hasher.update(f"mapping {len(value)}\n".encode())
        for key, part in value.items():
            _feed(hasher, key)
            _feed(hasher, part)
    elif isinstance(value, Sequence):
        hasher.update(f"sequence {len(value)}\n".encode())
        for part in value:
            _feed(hasher, part)
    else:
        hasher.update(f"{type(value).__name__} {value!r}\n".encode())
