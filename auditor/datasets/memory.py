"""Tables in memory: data frames, Arrow tables, mappings of arrays; DuckDB reads them in place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from auditor.datasets.table import Table, connect
from auditor.errors import InputError
from auditor.stats import as_label

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["VALID", "VALID_FILES", "column_names", "open_arrow", "open_memory"]

VALID_FILES = "a path or glob of CSV, JSON lines, plain text, Parquet or Arrow files"
VALID = f"a DataFrame, an Arrow table, a mapping of names to arrays or tensors, or {VALID_FILES}"


def open_memory(source: Any, name: str) -> Table:
    """Open a pandas or polars frame, an Arrow table, a ``datasets.Dataset`` or a mapping.

    A column of a mapping is a list, an array or a tensor, on any device, of one dimension.
    Raises :class:`InputError`.
    """
    import pyarrow as pa

    if isinstance(source, pa.Table):
        table = source
    elif isinstance(source, pa.RecordBatch):
        table = pa.Table.from_batches([source])
    elif _is_pandas(source):
        table = _from_pandas(source, name)
    elif type(source).__module__.startswith("polars.") and hasattr(source, "collect"):  # a lazy one
        table = source.collect().to_arrow()
    elif hasattr(source, "to_arrow"):  # polars
        table = source.to_arrow()
    elif _is_hub_dataset(source):
        table = source.with_format("arrow")[:]
    elif isinstance(source, Mapping) and not type(source).__module__.startswith("datasets."):
        table = _from_mapping(cast("Mapping[Any, Any]", source), name)
    else:
        raise InputError(f"{type(source).__name__} is not a table", where=name, valid=VALID)
    return open_arrow(table, name=name)


def open_arrow(table: pa.Table, *, name: str, files: Sequence[Path] = ()) -> Table:
    """Open an Arrow table; raises :class:`InputError`."""
    import pyarrow as pa

    table = table.rename_columns(column_names(table.column_names, where=name))
    levels: dict[str, tuple[str, ...]] = {}
    for position, column in enumerate(table.schema):
        if pa.types.is_dictionary(column.type):
            # Declared categories stay declared, also the ones without a record.
            chunked = table.column(position).unify_dictionaries()
            if chunked.num_chunks:
                values = chunked.chunk(0).dictionary.to_pylist()
                levels[column.name] = tuple(v for v in map(as_label, values) if v is not None)
            plain = chunked.cast(column.type.value_type)
            table = table.set_column(position, column.name, plain)
        elif pa.types.is_float16(column.type):  # DuckDB has no such type
            wider = table.column(position).cast(pa.float32())
            table = table.set_column(position, column.name, wider)
    connection = connect()
    connection.register("data", table)
    return Table(connection, name=name, files=files, declared_levels=levels)


def column_names(names: Iterable[str], *, where: str) -> list[str]:
    """Return the names, unnamed columns as ``column0`` by position (an index that pandas wrote).

    Raises :class:`InputError` unless there are columns, with names of their own. Names that differ
    only in case count as equal, because they are equal to SQL.
    """
    seen: dict[str, str] = {}
    for position, given in enumerate(names):
        name = given or f"column{position}"
        other = seen.get(name.lower())
        if other is not None:
            what = (
                f"column {name!r} occurs twice"
                if other == name
                else f"columns {other!r} and {name!r} differ only in case"
            )
            raise InputError(what, where=where, valid="a name of its own for each column")
        seen[name.lower()] = name
    if not seen:
        raise InputError("the table has no columns", where=where, valid="at least one column")
    return list(seen.values())


def _from_mapping(columns: Mapping[Any, Any], name: str) -> pa.Table:
    import pyarrow as pa

    names = column_names(map(str, columns), where=name)
    arrays: list[pa.Array] = []
    for column, values in zip(names, columns.values(), strict=True):
        try:
            arrays.append(_to_array(values))
        except (pa.ArrowException, TypeError, ValueError) as error:
            what = f"column {column!r} cannot be read ({str(error).splitlines()[0]})"
            raise InputError(what, where=name, valid="values of one type, one a row") from None
        if len(arrays[-1]) != len(arrays[0]):
            raise InputError(
                f"column {column!r} has {len(arrays[-1]):,} values", where=name,
                valid=f"{len(arrays[0]):,}, as {names[0]!r} has",
            )  # fmt: skip
    return pa.table(arrays, names=names)


def _to_array(values: Any) -> pa.Array:
    import pyarrow as pa

    if hasattr(values, "detach"):  # a tensor, which may have a type that only tensors have
        values = values.detach().cpu()
        small = values.is_floating_point() and values.element_size() < 4
        values = (values.float() if small else values).numpy()
    if isinstance(values, np.ma.MaskedArray):
        mask: Any = np.ma.getmaskarray(values)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        return pa.array(values.data, mask=mask)  # pyright: ignore[reportUnknownArgumentType]
    array = pa.array(values if hasattr(values, "dtype") else list(values), from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _is_pandas(source: Any) -> bool:
    return any(
        base.__module__.partition(".")[0] == "pandas" and base.__name__ == "DataFrame"
        for base in type(source).__mro__
    )


def _is_hub_dataset(source: Any) -> bool:
    """Whether it is a map-style ``Dataset`` of Hugging Face; one split of a ``DatasetDict``."""
    kind = type(source)
    return kind.__module__.startswith("datasets.") and hasattr(source, "with_format") and hasattr(
        kind, "__getitem__"
    ) and not isinstance(source, Mapping)  # fmt: skip


def _from_pandas(frame: Any, name: str) -> pa.Table:
    import pandas as pd
    import pyarrow as pa

    frame = frame.set_axis(column_names(map(str, frame.columns), where=name), axis=1)
    for column, dtype in frame.dtypes.items():
        if isinstance(dtype, pd.CategoricalDtype) and isinstance(
            dtype.categories.dtype, (pd.IntervalDtype, pd.PeriodDtype)
        ):  # what pandas.cut gives
            frame = frame.assign(**{column: frame[column].cat.rename_categories(str)})
    try:
        return pa.Table.from_pandas(frame, preserve_index=False, nthreads=1)
    except (pa.ArrowException, TypeError, ValueError) as error:
        what = f"a column mixes types ({error.args[-1]})"
        raise InputError(what, where=name, valid="one type for each column") from None
