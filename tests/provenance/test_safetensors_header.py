from __future__ import annotations

import json
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save, save_file

from auditor.errors import InputError
from auditor.provenance.safetensors_header import read_header

ARRAYS = {
    "w": np.zeros((3, 4), np.float32), "n": np.array(5), "e": np.zeros((0, 7), np.float16),
    "i": np.zeros(9, np.uint8),
}  # fmt: skip


def header(document: Any, *, length: int | None = None) -> bytes:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text


def entry(**changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes


def test_the_header_is_that_of_the_library(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file(ARRAYS, path, metadata={"format": "np"})
    found = read_header(path)
    with safe_open(path, framework="np") as theirs:
        assert set(found) == set(theirs.keys())
        for name, tensor in found.items():
            assert list(tensor.shape) == theirs.get_slice(name).get_shape()
            assert tensor.dtype == theirs.get_slice(name).get_dtype()
            assert tensor.elements == ARRAYS[name].size


DAMAGED = {
    "nothing": b"",
    "less than a length": b"\x01\x00",
    "a length beyond the file": header({"w": entry()}, length=2**40),
    "the longest length": header({"w": entry()}, length=2**64 - 1),
    "no header": header(b""),
    "no JSON": header(b"{not json}"),
    "no text": header(b"\xff\xfe{}"),
    "a list": header([1, 2]),
    "deep nesting": header(b"[" * 100_000),
    "a huge number": header(b'{"w":' + b"9" * 10_000 + b"}"),
    "a name twice": header(b'{"w":{},"w":{}}'),
    "a tensor that is no mapping": header({"w": 3}),
    "no bytes after the header": header({"w": entry()}),
    "too many bytes": header({"w": entry()}) + bytes(9),
    "a shape that does not fit": header({"w": entry(shape=[3])}) + bytes(8),
    "a negative size": header({"w": entry(shape=[-2])}) + bytes(8),
    "a size that is no whole number": header({"w": entry(shape=[2.0])}) + bytes(8),
    "true as a size": header({"w": entry(shape=[True, 2])}) + bytes(8),
    "sizes whose product is huge": header({"w": entry(shape=[2**62] * 60)}) + bytes(8),
    "many dimensions": header({"w": entry(shape=[1] * 100_000)}) + bytes(8),
    "negative offsets": header({"w": entry(data_offsets=[-8, 0])}) + bytes(8),
    "a hole": header({"w": entry(data_offsets=[4, 12])}) + bytes(12),
    "offsets backwards": header({"w": entry(data_offsets=[8, 0])}) + bytes(8),
    "three offsets": header({"w": entry(data_offsets=[0, 8, 8])}) + bytes(8),
    "an overlap": header({"v": entry(), "w": entry(data_offsets=[4, 12])}) + bytes(12),
    "the same bytes twice": header({"v": entry(), "w": entry()}) + bytes(8),
    "an unknown type": header({"w": entry(dtype="X9")}) + bytes(8),
    "a type that is no text": header({"w": entry(dtype=["F32"])}) + bytes(8),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_hostile_header_is_one_clear_error(what: str, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(DAMAGED[what])
    with pytest.raises(InputError, match=r"m\.safetensors: a damaged safetensors file") as error:
        read_header(path)
    assert len(str(error.value).splitlines()) == 1


def outcome(path: Path) -> Any:
    """Return the header, or the message that refuses it."""
    try:
        return read_header(path)
    except InputError as error:
        return str(error)


@given(st.data())
def test_a_changed_file_is_refused_or_has_the_shapes_of_the_library(
    data: st.DataObject,
) -> None:
    content = bytearray(save(ARRAYS))
    length = 8 + int.from_bytes(content[:8], "little")
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, length - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.sampled_from([len(content), len(content), length, 9]))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.safetensors"
        path.write_bytes(bytes(content))
        found = outcome(path)
        if isinstance(found, str):
            assert "a damaged safetensors file" in found
            return
        try:
            with safe_open(path, framework="np") as theirs:
                shapes = {n: theirs.get_slice(n).get_shape() for n in theirs.keys()}  # noqa: SIM118
        except SafetensorError:
            # A name or a key that JSON allows and the library does not.
            return
        assert shapes == {name: list(tensor.shape) for name, tensor in found.items()}


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.safetensors"
        path.write_bytes(content)
        found = outcome(path)
        assert found == {} or "a damaged safetensors file" in found
