"""Digests: of files against reading them, of records, of folders against model-signing."""

from __future__ import annotations

import hashlib
import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from measuring import Row, budget, not_installed, side_by_side, timed

from auditor.provenance import folder_manifest, record_digests, record_manifest
from auditor.provenance.file_digests import file_digest
from auditor.provenance.record_casts import cast_batch
from auditor.provenance.record_encoding import encode_records
from auditor.provenance.record_schema import declared_schema

MILLION = 1_000_000


def records(rows: int, seed: int = 0) -> pa.Table:
    """Eight columns as a table of people has them: numbers, texts, a date, a label, gaps."""
    rng = np.random.default_rng(seed)
    race = ["White", "Black", "Asian-Pac-Islander", "Other"]
    return pa.table(
        {
            "id": np.arange(rows),
            "sex": pa.array(rng.choice(["Female", "Male"], rows)).dictionary_encode(),
            "race": pa.array(rng.choice(race, rows)),
            "age": rng.integers(17, 90, rows).astype(np.int32),
            "income": rng.normal(3e4, 1e4, rows),
            "hours": pa.array(rng.integers(1, 99, rows), mask=rng.random(rows) < 0.1),
            "born": pa.array(rng.integers(0, 20_000, rows).astype(np.int32)).cast(pa.date32()),
            "label": pa.array(rng.random(rows) < 0.3),
        }
    )


def record_speed(rows: int, *, whole: bool) -> Row:
    """Records a second, of digests alone and of a whole manifest, and hashlib's own beside them.

    hashlib is given rows that are bytes already, so that only its calls are counted.
    """
    table = records(rows)
    batches = table.to_batches(max_chunksize=65_536)
    declared = declared_schema(table.schema)
    ready = [
        row for batch in batches
        for row in encode_records(cast_batch(batch, declared), b"\0").to_pylist()
    ]  # fmt: skip

    def ours() -> Any:
        if whole:
            return record_manifest(batches, declared)
        return [part.shape for part in record_digests(batches, declared)]

    measured = side_by_side(ours, lambda: [hashlib.sha256(row).digest() for row in ready], runs=5)
    what = "record manifest (digests, ordered root, set digest)" if whole else "record digests"
    return {
        "what": f"{what}, {rows:,} rows of 8 columns",
        "against": "a million records a second (times as many)",
        "bound": "none" if whole else budget(">= 1 M/s", rows),
        **measured,
        "measured": rows / measured["ours_seconds"] / MILLION,
        "hashlib_calls_ratio": measured["ratio"],
    }


def file_speed(size: int, *, cold: bool) -> Row:
    """A BLAKE3 digest against reading the same file, from the disk or from memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data"
        write(path, size)
        forget = (lambda: evict(path)) if cold else (lambda: None)
        measured = paired(lambda: file_digest(path), lambda: read(path), before=forget, runs=7)
    return {
        "what": f"BLAKE3 of a file of {size >> 20:,} MiB, {'cold' if cold else 'warm'}",
        "against": "reading it",
        "bound": ">= 0.9" if cold and size >= 1 << 30 else "none",
        **measured,
        "gigabytes_a_second": size / measured["ours_seconds"] / 1e9,
    }


def sharded_speed(size: int) -> Row:
    """Sharded SHA-256 by threads, against SHA-256 of the same file in one piece."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data"
        write(path, size)
        measured = side_by_side(
            lambda: file_digest(path, method="sha256-sharded-1048576"),
            lambda: file_digest(path, method="sha256"), runs=5,
        )  # fmt: skip
    return {
        "what": f"sharded SHA-256 of {size >> 20:,} MiB, {os.cpu_count()} cores",
        "against": "SHA-256 in one piece",
        "bound": "none",
        **measured,
    }


def folder_speed(files: int, size: int) -> Row:
    """A folder's manifest, against the hashing of model-signing (names are not in its root)."""
    row: Row = {
        "what": f"manifest of a folder, {files:,} files of {size >> 10:,} KiB",
        "against": "model-signing hashing",
        "bound": ">= 1",
    }
    if reason := not_installed("model_signing"):
        return {**row, "reason": reason}
    from model_signing import hashing

    with tempfile.TemporaryDirectory() as folder:
        for index in range(files):
            write(Path(folder) / f"{index % 10}" / f"{index}.bin", size)
        return {
            **row,
            **side_by_side(
                lambda: folder_manifest(folder), lambda: hashing.hash(Path(folder)), runs=5
            ),
        }


def paired(
    ours: Callable[[], Any], theirs: Callable[[], Any], *, before: Callable[[], None], runs: int
) -> Row:
    """As ``side_by_side``, with something done before each run that is not timed."""
    pairs: list[tuple[float, float]] = []
    for index in range(runs):
        seconds: dict[int, float] = {}
        for side in (index % 2, 1 - index % 2):
            before()
            seconds[side] = timed((ours, theirs)[side])
        pairs.append((seconds[0], seconds[1]))
    return {
        "ours_seconds": statistics.median(a for a, _ in pairs),
        "theirs_seconds": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(b / a for a, b in pairs),
        "runs": runs,
    }


def write(path: Path, size: int) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        for start in range(0, size, 1 << 20):
            file.write(os.urandom(min(1 << 20, size - start)))
        file.flush()
        os.fsync(file.fileno())


def evict(path: Path) -> None:
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(path: Path) -> None:
    """Read a file as the digests do: as much at a time, and as much ahead."""
    piece = bytearray(1 << 20)
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        while file.readinto(piece):
            pass


def digest_benchmarks(*, quick: bool) -> list[Callable[[], Row]]:
    """All rows of this file."""
    rows = 100_000 if quick else MILLION
    size = 64 << 20 if quick else 1 << 30
    return [
        lambda: file_speed(size, cold=True),
        lambda: file_speed(size, cold=False),
        lambda: record_speed(rows, whole=False),
        lambda: record_speed(rows, whole=True),
        lambda: sharded_speed(size),
        lambda: folder_speed(100 if quick else 2_000, 16 << 10),
        lambda: folder_speed(4, size // 4),
    ]
