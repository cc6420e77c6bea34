"""The state of an audit as a file in a checkpoint: arrays of numpy beside JSON, never a pickle."""

from __future__ import annotations

import io
import json
import math
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError

__all__ = ["STATE_FILE", "load_state", "load_states", "save_state"]

STATE_FILE = "auditor-state.npz"
"""The name of the file in the folder of a checkpoint."""

_SCHEMA = "auditor/state/v1"
_RANKS = re.compile(r"auditor-state-(\d+)-of-(\d+)\.npz")


def save_state(
    state: Mapping[str, Any], path: str | Path, *, rank: int = 0, ranks: int = 1
) -> Path:
    """Write what ``audit.state_dict()`` gave; return the file.

    ``path`` is a file, or the folder of a checkpoint: there it is ``auditor-state.npz``, and in a
    distributed training one file a rank. It is there whole or not at all. Raises
    :class:`InputError` for a value that is no number, text, bytes, array, list or mapping.
    """
    path = Path(path)
    if path.is_dir():
        named = f"auditor-state-{rank:05d}-of-{ranks:05d}.npz"
        path = path / (STATE_FILE if ranks == 1 else named)
    arrays: dict[str, NDArray[Any]] = {}
    from auditor.loop.plain_states import restored

    tree = {"schema": _SCHEMA, "state": _encode(restored(state), arrays)}
    document = np.frombuffer(json.dumps(tree, sort_keys=True).encode(), np.uint8)
    held = io.BytesIO()
    np.savez_compressed(held, allow_pickle=False, document=document, **arrays)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(held.getvalue())
    beside.replace(path)
    return path


def load_state(path: str | Path) -> dict[str, Any]:
    """Read what :func:`save_state` wrote; raises :class:`InputError`."""
    path = Path(path)
    if path.is_dir():
        path = path / STATE_FILE
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as held:
            tree = json.loads(held["document"].tobytes())
            if tree.get("schema") != _SCHEMA:
                raise InputError("not the state of an audit", where=str(path), valid=_SCHEMA)
            return _decode(tree["state"], held)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"not the state of an audit: {error}", where=str(path), valid="what save_state wrote"
        ) from None


def load_states(folder: str | Path) -> list[dict[str, Any]]:
    """Read the states of all ranks from the folder of a checkpoint, in their order.

    Nothing where there is none. Raises :class:`InputError` where a rank's is missing.
    """
    folder = Path(folder)
    if (folder / STATE_FILE).is_file():
        return [load_state(folder / STATE_FILE)]
    if not folder.is_dir():
        return []
    found = sorted(name for name in os.listdir(folder) if _RANKS.fullmatch(name))
    if not found:
        return []
    match = _RANKS.fullmatch(found[-1])
    ranks = int(match[2]) if match else 0
    expected = [f"auditor-state-{rank:05d}-of-{ranks:05d}.npz" for rank in range(ranks)]
    if found != expected:
        raise InputError(
            f"states of {len(found)} of {ranks} ranks", where=str(folder), valid="one of each"
        )
    return [load_state(folder / name) for name in expected]


def _encode(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, np.generic):
        return _encode(value.item(), arrays)
    if isinstance(value, bytes):
        return {"$bytes": value.hex()}
    if isinstance(value, np.ndarray):
        array = cast("NDArray[Any]", value)
        if array.dtype.hasobject:
            raise InputError("an array of objects", valid="numbers, text, bytes, arrays")
        name = f"array{len(arrays)}"
        arrays[name] = array
        return {"$array": name}
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value).items()
        return {"$map": [[_encode(k, arrays), _encode(v, arrays)] for k, v in pairs]}
    if isinstance(value, (list, tuple)):
        return [_encode(part, arrays) for part in cast("list[Any]", value)]
    raise InputError(f"a {type(value).__name__}", valid="numbers, text, bytes, arrays")


def _decode(value: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(value, list):
        return [_decode(part, arrays) for part in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    ((kind, held),) = cast("dict[str, Any]", value).items()
    if kind == "$array":
        return arrays[held]
    if kind == "$bytes":
        return bytes.fromhex(held)
    if kind == "$float":
        return float(held)
    return {_decode(k, arrays): _decode(v, arrays) for k, v in held}
