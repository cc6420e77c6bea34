from __future__ import annotations

import hashlib
import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from auditor.errors import InputError
from auditor.provenance import checkpoint_manifest, file_digest


class Payload:
    """What a malicious checkpoint holds: unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.path),))


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    return {
        "w": torch.zeros(3, 4), "b": torch.ones(3, dtype=torch.bfloat16), "n": torch.tensor(5),
    }  # fmt: skip


@pytest.fixture
def safe(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    path = tmp_path / "model.safetensors"
    save_file(tensors, path, metadata={"format": "pt"})
    return path


def test_a_safetensors_file_is_described(safe: Path) -> None:
    assert checkpoint_manifest(safe) == {
        "file": "model.safetensors",
        "format": "safetensors",
        "bytes": safe.stat().st_size,
        "digest": file_digest(safe),
        "digests": [f"sha256:{hashlib.sha256(safe.read_bytes()).hexdigest()}"],
        "tensors": 3,
        "parameters": 16,
    }
    assert checkpoint_manifest(str(safe)) == checkpoint_manifest(safe)


def test_plain_weights_of_torch_are_described(
    tmp_path: Path, tensors: dict[str, torch.Tensor]
) -> None:
    path = tmp_path / "model.pt"
    torch.save({"model": tensors, "epoch": 3, "history": [torch.zeros(2)]}, path)
    found = checkpoint_manifest(path)
    assert (found["format"], found["tensors"], found["parameters"]) == ("torch-weights-only", 4, 18)


@pytest.mark.parametrize("name", ["model.pt", "model.pkl", "model.bin", "model"])
@pytest.mark.parametrize("inside", ["a pickle", "an archive of torch"])
def test_a_pickle_is_refused_and_not_executed(name: str, inside: str, tmp_path: Path) -> None:
    path, made = tmp_path / name, tmp_path / "made"
    if inside == "a pickle":
        path.write_bytes(pickle.dumps({"w": Payload(made)}))
    else:
        torch.save({"w": Payload(made)}, path)
    with pytest.raises(InputError, match=r"not plain weights .*; a \.safetensors file, or weights"):
        checkpoint_manifest(path)
    assert not made.exists()


def test_a_whole_module_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pt")
    with pytest.raises(InputError, match="not plain weights"):
        checkpoint_manifest(tmp_path / "model.pt")


@pytest.mark.parametrize("content", [b"", b"no weights", bytes(1_000), b"PK\x03\x04" + bytes(99)])
def test_bytes_that_are_no_weights_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"model\.pt: the checkpoint is not plain weights"):
        checkpoint_manifest(tmp_path / "model.pt")


def header(document: Any, *, length: int | None = None) -> bytes:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text


ONE = {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}

DAMAGED = {
    "nothing": b"",
    "less than a length": b"\x01\x00",
    "a length beyond the file": header(ONE, length=2**40),
    "a length of all": header(ONE, length=2**64 - 1),
    "no JSON": header(b"{not json}"),
    "a list": header([1, 2]),
    "a text": header('"x"'),
    "deep nesting": header(b"[" * 100_000),
    "no bytes after the header": header(ONE),
    "too many bytes": header(ONE) + bytes(9),
    "a shape that does not fit": header({"w": ONE["w"] | {"shape": [3]}}) + bytes(8),
    "a negative size": header({"w": ONE["w"] | {"shape": [-2]}}) + bytes(8),
    "a hole": header({"w": ONE["w"] | {"data_offsets": [4, 12]}}) + bytes(12),
    "offsets backwards": header({"w": ONE["w"] | {"data_offsets": [8, 0]}}) + bytes(8),
    "an unknown type": header({"w": ONE["w"] | {"dtype": "X9"}}) + bytes(8),
    "no shape": header({"w": {"dtype": "F32", "data_offsets": [0, 8]}}) + bytes(8),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_safetensors_file_is_refused(what: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(DAMAGED[what])
    with pytest.raises(InputError, match=r"model\.safetensors: a damaged safetensors file"):
        checkpoint_manifest(path)


def test_a_well_formed_file_of_our_own_making_is_accepted(tmp_path: Path) -> None:
    """So that the damaged ones above are refused for their damage."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(header(ONE) + np.zeros(2, np.float32).tobytes())
    assert checkpoint_manifest(path)["parameters"] == 2


@pytest.mark.parametrize("keep", [0.2, 0.6, 0.99])
def test_a_truncated_safetensors_file_is_refused(keep: float, safe: Path) -> None:
    data = safe.read_bytes()
    safe.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(InputError, match="a damaged safetensors file"):
        checkpoint_manifest(safe)


def test_a_truncated_archive_of_torch_is_refused(
    tmp_path: Path, tensors: dict[str, torch.Tensor]
) -> None:
    path = tmp_path / "model.pt"
    torch.save(tensors, path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="not plain weights"):
        checkpoint_manifest(path)


@pytest.mark.parametrize("name", ["gone.safetensors", "gone.pt", "."])
def test_a_missing_checkpoint_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such checkpoint; a"):
        checkpoint_manifest(tmp_path / name)
