"""The model that a training starts from: files, parameters, tokenizer, adapters, licence, data."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from auditor.errors import InputError
from auditor.evidence import canonical_json, sha256
from auditor.provenance.digests import file_digest
from auditor.provenance.licences import read_expression
from auditor.provenance.model_card import Unreadable, read_front_matter
from auditor.provenance.safetensors_header import Tensor, read_header, unique_keys

__all__ = ["BASE_MODEL_SCHEMA", "UNKNOWN", "base_model_manifest"]

BASE_MODEL_SCHEMA = "auditor/base-model/v1"

UNKNOWN = "unknown"
"""Stands where nobody said: an unknown licence is no licence."""

_PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".msgpack", ".h5"}
_WEIGHTS = _PICKLES | {
    ".safetensors", ".gguf", ".ggml", ".onnx", ".npz", ".keras", ".skops", ".tflite", ".pb", ".pte",
    ".mlmodel", ".nemo", ".ot",
}  # fmt: skip
_TOKENIZER = {
    "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "spiece.model",
    "sentencepiece.bpe.model", "chat_template.json", "chat_template.jinja",
}  # fmt: skip
_LARGEST_JSON, _MOST_FILES = 1 << 24, 10_000


def base_model_manifest(
    source: str | Path,
    *,
    licence: str | None = None,
    training_data: str | Sequence[str] | None = None,
    name: str | None = None,
    compute: float | None = None,
) -> dict[str, Any]:
    """Describe a base model without loading it and without opening a pickle.

    Parameters
    ----------
    source:
        A folder as Hugging Face lays it out, or one file of weights.
    licence, training_data, name:
        What is known of it; they take the place of what its model card states. A licence given
        here is an SPDX expression, or ``unknown``; that of a card is kept as it stands.
    compute:
        The operations (FLOP) that went into the training of the base model, as its provider states
        them; unknown unless it is given, since cards have no field for it.

    Returns files with their digests and one digest of all of them, parameters by type and
    architecture, the digest of the tokenizer, adapters apart, and licence, training data and base
    models with who stated each: ``given``, ``model-card``, or ``unknown``. Files that would have to
    be unpickled are named as not opened: their parameters are not counted.

    Raises :class:`InputError` for a source that is missing, damaged or without any weights, a shard
    that is missing, a file that an index names outside of the folder, and a licence, training data
    or a compute that cannot be used.
    """
    _check_given(licence, training_data)
    _check_compute(compute)
    root = Path(source).expanduser()
    if root.is_file():
        folder, files = root.parent, [root]
    elif root.is_dir():
        folder, files = root, _files(root)
    else:
        raise InputError("no such model", where=str(source), valid="a folder or a file of weights")
    if not any(file.suffix.lower() in _WEIGHTS for file in files):
        what = "the file holds no weights" if root.is_file() else "the folder holds no weights"
        raise InputError(what, where=str(source), valid="a model's folder, or a file of weights")
    listed: list[dict[str, Any]] = [
        {"name": _relative(file, folder), "bytes": file.stat().st_size, "digest": file_digest(file)}
        for file in files
    ]
    by_name = {_relative(file, folder): file for file in files}
    headers = {n: read_header(file) for n, file in by_name.items() if file.suffix == ".safetensors"}
    _check_indexes(by_name, headers, folder)
    adapters = _adapters(by_name, headers)
    inside = {name for adapter in adapters for name in adapter["weights"]}
    card, card_reason = _card(by_name.get("README.md") if root.is_dir() else None)
    return {
        "schema": BASE_MODEL_SCHEMA,
        "name": name or root.stem,
        "files": listed,
        "digest": _digest(listed),
        "weights": _weights({n: h for n, h in headers.items() if n not in inside}),
        "not_opened": sorted(n for n, file in by_name.items() if file.suffix.lower() in _PICKLES),
        "model": _architecture(by_name),
        "tokenizer": _tokenizer(listed),
        "adapters": adapters,
        "licence": _stated(licence, card.get("license"), card.get("license_name")),
        "training_data": _stated(training_data, card.get("datasets")),
        "base_models": _stated(None, card.get("base_model")),
        "compute": {"flop": None if compute is None else float(compute),
                    "by": UNKNOWN if compute is None else "given"},
        "card": card_reason,
    }  # fmt: skip


def _check_given(licence: Any, training_data: Any) -> None:
    if licence is not None and licence != UNKNOWN:
        if not isinstance(licence, str):
            raise InputError(f"{licence!r} is no licence", where="licence=",
                             valid="an SPDX expression, as MIT OR Apache-2.0")  # fmt: skip
        read_expression(licence, where="licence=")
    texts = [training_data] if isinstance(training_data, str) else training_data
    if texts is not None and not (
        isinstance(texts, (list, tuple)) and all(isinstance(text, str) for text in texts)
    ):
        raise InputError(f"{training_data!r} names no training data", where="training_data=",
                         valid="the names of data sets, as ['wikipedia', 'c4']")  # fmt: skip


def _check_compute(compute: Any) -> None:
    number = isinstance(compute, (int, float)) and not isinstance(compute, bool)
    if compute is not None and not (number and 0 < compute < math.inf):
        raise InputError(f"{compute!r} is no compute", where="compute=",
                         valid="a positive number of operations, as 8.4e23")  # fmt: skip


def _files(root: Path) -> list[Path]:
    found: list[Path] = []
    for file in root.rglob("*"):
        hidden = any(part.startswith(".") for part in file.relative_to(root).parts)
        # A link is followed to a file (a snapshot of a cache is made of links), not to a folder.
        if not hidden and file.is_file():
            found.append(file)
        if len(found) > _MOST_FILES:
            raise InputError(f"the folder holds more than {_MOST_FILES:,} files", where=str(root),
                             valid="the folder of one model")  # fmt: skip
    if not found:
        raise InputError("the folder holds no files", where=str(root), valid="a model's folder")
    return sorted(found)


def _relative(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()


def _digest(entries: Sequence[Mapping[str, Any]]) -> str | None:
    """Return one digest of files: of their names, sizes and digests, sorted by name."""
    kept = sorted((dict(entry) for entry in entries), key=lambda entry: entry["name"])
    return sha256(canonical_json(kept)) if kept else None


def _weights(headers: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Any]:
    tensors = [tensor for header in headers.values() for tensor in header.values()]
    by_type = Counter[str]()
    for tensor in tensors:
        by_type[tensor.dtype] += tensor.elements
    return {
        "files": sorted(headers),
        "tensors": len(tensors),
        "parameters": by_type.total(),
        "parameters_by_type": dict(sorted(by_type.items())),
    }


def _check_indexes(
    files: Mapping[str, Path], headers: Mapping[str, Mapping[str, Tensor]], folder: Path
) -> None:
    for name, file in files.items():
        if not name.endswith(".safetensors.index.json"):
            continue
        placed = _read_json(file).get("weight_map")
        if not isinstance(placed, dict) or not all(isinstance(v, str) for v in placed.values()):
            raise InputError("there is no weight_map", where=str(file), valid="tensor to file")
        beside = name.rpartition("/")[0]
        for tensor, shard in placed.items():
            path = f"{beside}/{shard}" if beside else shard
            if path not in headers:
                raise InputError(f"the shard {shard!r} is not in the folder {folder.name}",
                                 where=str(file), valid="every file of its weight_map")  # fmt: skip
            if tensor not in headers[path]:
                raise InputError(f"{shard} does not hold tensor {tensor!r}", where=str(file))
        shards = {f"{beside}/{shard}" if beside else shard for shard in placed.values()}
        for shard in sorted(shards):
            extra = set(headers[shard]) - set(placed)
            if extra:
                raise InputError(f"{shard} holds tensor {min(extra)!r}, which the index does not",
                                 where=str(file))  # fmt: skip


def _architecture(files: Mapping[str, Path]) -> dict[str, Any] | None:
    file = files.get("config.json")
    if file is None:
        return None
    config = _read_json(file)
    quantization = config.get("quantization_config")
    return {
        "architectures": [str(item) for item in config.get("architectures") or ()],
        "type": _text(config.get("model_type")),
        "quantization": _text(quantization.get("quant_method") or UNKNOWN)
        if isinstance(quantization, dict)
        else None,
        # Code that comes with the weights and that loading them would run.
        "remote_code": sorted(map(str, config["auto_map"]))
        if isinstance(config.get("auto_map"), dict)
        else [],
        "config_digest": file_digest(file),
    }


def _tokenizer(listed: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    kept = [entry for entry in listed if entry["name"].rpartition("/")[2] in _TOKENIZER]
    if not kept:
        return None
    return {"files": [entry["name"] for entry in kept], "digest": _digest(kept)}


def _adapters(
    files: Mapping[str, Path], headers: Mapping[str, Mapping[str, Tensor]]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, file in sorted(files.items()):
        folder, _, last = name.rpartition("/")
        if last != "adapter_config.json":
            continue
        config = _read_json(file)
        prefix = f"{folder}/" if folder else ""
        mine = {n: h for n, h in headers.items() if n.startswith(f"{prefix}adapter_model")}
        targets = config.get("target_modules")
        listed = [targets] if isinstance(targets, str) else targets
        found.append(
            {
                "folder": folder,
                "base_model": _text(config.get("base_model_name_or_path")) or UNKNOWN,
                "revision": _text(config.get("revision")),
                "type": _text(config.get("peft_type")) or UNKNOWN,
                "rank": config["r"] if type(config.get("r")) is int else None,
                "target_modules": sorted(map(str, listed)) if isinstance(listed, list) else [],
                "weights": sorted(mine),
                "parameters": _weights(mine)["parameters"],
            }
        )
    return found


def _card(file: Path | None) -> tuple[dict[str, Any], str]:
    if file is None:
        return {}, "none"
    try:
        return read_front_matter(file), "read"
    except Unreadable as error:
        return {}, f"unreadable: {error}"


def _stated(given: Any, *stated: Any) -> dict[str, Any]:
    """Return a statement and who made it; what is no text, or no list of texts, was not stated."""
    for by, value in (("given", given), *(("model-card", item) for item in stated)):
        texts = [value] if isinstance(value, str) else value
        if isinstance(texts, (list, tuple)):
            kept = [text for text in map(_text, texts) if text]
            # "other" and "unknown" name no licence; another field of the card may.
            if kept and kept not in (["other"], [UNKNOWN]):
                return {"value": kept, "by": by}
    return {"value": [], "by": UNKNOWN}


def _text(value: Any) -> str | None:
    return value[:1_000] if isinstance(value, str) else None


def _read_json(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            content = stream.read(_LARGEST_JSON + 1)
        if len(content) > _LARGEST_JSON:
            raise InputError("the file is larger than 16 MiB", where=str(file))
        document = json.loads(content, object_pairs_hook=unique_keys)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"the file cannot be read: {reason}", where=str(file)) from None
    except (ValueError, RecursionError):
        raise InputError("the file is not JSON", where=str(file)) from None
    if not isinstance(document, dict):
        raise InputError("the file holds no mapping", where=str(file), valid="a JSON object")
    return document
