"""Tables in files: the whole way from a Parquet file to counts, and the memory that it takes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from measuring import Row, population, side_by_side

# Attributes of the wide table: a post code, and eleven with few values.
SIZES = (50_000, 2, 3, 4, 5, 6, 3, 4, 2, 5, 4, 3)

AUDIT = """
import pathlib, resource, sys, time
from auditor.datasets import Roles, declare_groups, open_table, scan_confusion
path, small, *names = sys.argv[1:]
def peak():  # getrusage tells what the parent had, where that was more
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
def audit(path):
    table, roles = open_table(path), Roles(sensitive=tuple(names), target="y", prediction="p")
    roles.check(table)
    return scan_confusion(table, declare_groups([table], names), roles)
audit(small)
before, start = peak(), time.perf_counter()
counts = audit(path)
print(time.perf_counter() - start, (peak() - before) / 1024, counts.values[0].sum())
"""


def scan(rows: int) -> Row:
    """Open, check, declare and count, against DuckDB's own group by on the same columns."""
    import duckdb

    from auditor.datasets import Roles, declare_groups, open_table, scan_confusion

    frame = population(rows, 50)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/t.parquet"
        frame.to_parquet(path)
        roles = Roles(sensitive=("group",), target="y", prediction="p")

        def ours() -> None:
            table = open_table(path)
            roles.check(table)
            scan_confusion(table, declare_groups([table], roles.sensitive), roles)

        query = f"select \"group\", y, p, count(*) from '{path}' group by all"
        result = side_by_side(ours, lambda: duckdb.connect().execute(query).fetchall(), runs=9)
    return {
        "what": f"a Parquet file opened, checked, declared and counted, {rows:,} rows",
        "against": "DuckDB connected, group by",
        # A small file is opened and checked for longer than it is counted.
        "bound": ">= 0.8" if rows >= 10_000_000 else "none",
        **result,
    }


def wide_table(rows: int, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    rng = np.random.default_rng(0)
    writer = None
    for start in range(0, rows, 1 << 20):
        size = min(1 << 20, rows - start)
        columns = {
            f"a{position}": pa.DictionaryArray.from_arrays(
                pa.array(rng.integers(0, levels, size), pa.int32()),
                pa.array([f"v{level}" for level in range(levels)]),
            ).cast(pa.string())
            for position, levels in enumerate(SIZES)
        }
        labels = {name: pa.array(rng.integers(0, 2, size), pa.int8()) for name in ("y", "p")}
        table = pa.table(columns | labels)
        writer = writer or parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def memory(rows: int, *, wide: bool) -> Row:
    """The memory that a scan adds to a process that has made a small one, in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        path, small = Path(folder) / "t.parquet", Path(folder) / "small.parquet"
        for size, file in ((rows, path), (1_000, small)):
            if wide:
                wide_table(size, file)
            else:
                population(size, 50).to_parquet(file)
        names = [f"a{position}" for position in range(len(SIZES))] if wide else ["group"]
        done = subprocess.run(
            [sys.executable, "-c", AUDIT, str(path), str(small), *names],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        seconds, grown, counted = map(float, done.stdout.split())
    assert counted == rows
    shown = "12 attributes (one of 50,000 values), pairs" if wide else "one attribute"
    return {
        "what": f"peak memory of a Parquet scan, {rows:,} rows, {shown}",
        "against": "MiB that the process grows by",
        "bound": "<= 1024",
        "ratio": grown,
        "ours_seconds": seconds,
        "runs": 1,
    }
