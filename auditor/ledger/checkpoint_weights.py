"""The tensors of a verified checkpoint, read from bytes whose digests were just taken."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from auditor.errors import CheckpointError, InputError
from auditor.ledger.checkpoint_files import digests_of
from auditor.ledger.checkpoint_manifest import CheckpointManifest
from auditor.ledger.storage import read_file

if TYPE_CHECKING:
    import torch

__all__ = ["read_state_dict"]

_SAFE = ".safetensors"
_TORCH = (".pt", ".pth", ".bin", ".ckpt")
_INDEX = ".index.json"
_NO_WEIGHTS = ("optimizer", "scheduler", "scaler", "rng_state", "random_states", "training_args")
"""What trainers put beside the weights, by how the names start."""


def read_state_dict(
    checkpoint: Path, manifest: CheckpointManifest, name: str | None
) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint by name; see ``Checkpoint.state_dict``."""
    bound = {file.name: file for file in manifest.files}

    def verified(file: str) -> bytes:
        path = checkpoint if manifest.kind == "file" else checkpoint / file
        try:
            data = read_file(path, most=bound[file].bytes)
        except OSError as error:
            raise CheckpointError(
                f"{file} cannot be read: {error.strerror}", where=str(checkpoint)
            ) from None
        if digests_of(file, data) != bound[file]:
            raise CheckpointError(f"{file} changed after it was verified", where=str(checkpoint))
        return data

    if name is not None and name not in bound:
        raise InputError(f"no file {name!r}", where=str(checkpoint), valid=_some(bound))
    chosen = _weights(checkpoint, bound) if name is None else name
    shards = [chosen]
    if chosen.endswith(_INDEX):
        shards = _shards(verified(chosen), chosen, bound, checkpoint)
    state: dict[str, torch.Tensor] = {}
    for shard in shards:
        tensors = _tensors(verified(shard), shard, checkpoint)
        if twice := state.keys() & tensors.keys():
            raise InputError(f"{min(twice)!r} stands in two shards", where=str(checkpoint))
        state |= tensors
    return state


def _weights(checkpoint: Path, names: Mapping[str, Any]) -> str:
    """Return the file with the weights, or the index of their shards."""
    if len(names) == 1:
        return next(iter(names))
    top = [name for name in names if "/" not in name]
    for suffixes in ((f"{_SAFE}{_INDEX}",), (_INDEX,), (_SAFE,), _TORCH):
        found = [
            name for name in top if name.endswith(suffixes) and not name.startswith(_NO_WEIGHTS)
        ]
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError("it is not clear which file holds the weights",
                             where=str(checkpoint), valid=f"name=, of {_some(found)}")  # fmt: skip
    if any(name.endswith(".distcp") for name in names):
        raise InputError(
            "the weights are shards of torch.distributed.checkpoint", where=str(checkpoint),
            valid="torch.distributed.checkpoint.load from .path, which was verified",
        )  # fmt: skip
    raise InputError("no file of weights", where=str(checkpoint), valid="name=, or another reader")


def _shards(data: bytes, index: str, names: Mapping[str, Any], checkpoint: Path) -> list[str]:
    try:
        document = json.loads(data)
    except ValueError:
        document = None
    fields = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    weights = fields.get("weight_map")
    found = cast("dict[str, Any]", weights).values() if isinstance(weights, dict) else []
    shards = sorted({str(shard) for shard in found})
    missing = [shard for shard in shards if shard not in names or shard.endswith(_INDEX)]
    if not shards or missing:
        what = f"names no shard {missing[0]!r}" if missing else "lists no shards"
        raise InputError(f"the index {index} {what}", where=str(checkpoint))
    return shards


def _tensors(data: bytes, name: str, checkpoint: Path) -> dict[str, torch.Tensor]:
    where = f"{checkpoint} {name}" if checkpoint.name != name else str(checkpoint)
    try:
        if PurePosixPath(name).suffix == _SAFE:
            from safetensors.torch import load

            return load(data)
        import torch

        state: Any = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except ImportError:
        raise
    except Exception as error:  # noqa: BLE001 -- bytes that are no weights raise anything at all
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"not plain weights ({reason})", where=where) from None
    if not isinstance(state, dict):
        raise InputError(f"it holds a {type(state).__name__}, no state dict", where=where)
    return cast("dict[str, torch.Tensor]", state)


def _some(names: Any) -> str:
    listed = sorted(names)
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5:,} more" if listed[5:] else "")
