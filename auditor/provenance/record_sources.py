"""Records wherever they lie, as Arrow batches: files, frames, Arrow, Hugging Face ``datasets``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.errors import InputError
from auditor.provenance.jsonl import jsonl_batches
from auditor.provenance.record_schema import declared_schema
from auditor.provenance.records import RecordManifest, record_manifest

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "SourceRecord",
    "arrow_batches_of",
    "source_manifest",
    "source_record",
    "source_schema",
    "splits_of",
]

_ROWS = 65_536
_HF_ROWS = 1_000
_VALID = (
    "a .csv, .parquet, .arrow, .feather, .jsonl file (.csv and .jsonl also .gz), a DataFrame, an "
    "Arrow table, batches or reader, or one split of a Hugging Face data set"
)


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """What a source says of itself, beside its records.

    ``kind`` is what holds the records, ``split`` and ``fingerprint`` what a Hugging Face data set
    calls its part and the history of its transforms (no digest of the records), ``features`` its
    own type of every column.
    """

    kind: str
    split: str | None = None
    fingerprint: str | None = None
    features: Mapping[str, str] | None = None


def arrow_batches_of(source: Any, *, columns: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
    """Yield the records of a source as Arrow batches, in their order, a part in memory at a time.

    The fields of CSV are texts, empty unquoted ones missing: a declared schema says what they are.
    A Hugging Face ``Dataset`` is read through its Arrow table and its own order of rows (after
    ``select`` or ``shuffle``), an ``IterableDataset`` as it comes. A ``DatasetDict`` is several
    sources, see :func:`splits_of`. ``columns`` are declared: a line of JSON may lack them. Raises
    :class:`InputError` for anything else.
    """
    import pyarrow as pa

    if isinstance(source, (str, Path)):
        yield from _file_batches(Path(source).expanduser(), columns)
    elif isinstance(source, pa.RecordBatch):
        yield source
    elif isinstance(source, pa.Table):
        yield from source.to_batches(max_chunksize=_ROWS)
    elif isinstance(source, pa.RecordBatchReader):
        yield from source
    elif (pandas := sys.modules.get("pandas")) and isinstance(source, pandas.DataFrame):
        yield from _frame_batches(source)
    elif hf := _hugging_face(source):
        yield from _hugging_face_batches(source, hf)
    elif hasattr(source, "__arrow_c_stream__"):  # polars, DuckDB and others
        yield from pa.RecordBatchReader.from_stream(source)
    else:
        raise InputError(f"{type(source).__name__} is no source of records", valid=_VALID)


def source_manifest(
    source: Any, schema: str | Mapping[str, Any] | pa.Schema | None = None
) -> RecordManifest:
    """Return the manifest of a source's records; see :func:`record_manifest`.

    Without a declared ``schema`` the source is read twice, once for its :func:`source_schema`.
    Raises :class:`InputError` for a stream then, as it can be read once only.

    >>> import pyarrow as pa
    >>> source_manifest(pa.table({"a": [1, None]})).schema
    'a: int64'
    """
    import pyarrow as pa

    if schema is None and isinstance(source, pa.RecordBatchReader):
        raise InputError("a stream without a declared schema", valid="schema=, as it is read once")
    declared = declared_schema(source_schema(source) if schema is None else schema)
    where = str(source) if isinstance(source, (str, Path)) else "the records"
    return record_manifest(arrow_batches_of(source, columns=declared.names), declared, where=where)


def splits_of(source: Any) -> dict[str, Any]:
    """Return the parts of a source by name: of a ``DatasetDict`` its splits, else one, ``""``."""
    if _hugging_face(source) in {"DatasetDict", "IterableDatasetDict"}:
        return {str(name): part for name, part in source.items()}
    return {"": source}


def source_record(source: Any) -> SourceRecord:
    """Return what the source says of itself; see :class:`SourceRecord`."""
    hf = _hugging_face(source)
    if hf is None:
        if isinstance(source, (str, Path)):
            return SourceRecord(kind=_suffix(Path(source)).removeprefix("."))
        return SourceRecord(kind=f"{type(source).__module__.split('.')[0]}.{type(source).__name__}")
    fingerprint = getattr(source, "_fingerprint", None)
    features = getattr(source, "features", None)
    split = getattr(source, "split", None)
    return SourceRecord(
        kind=f"datasets.{hf}",
        split=None if split is None else str(split),
        fingerprint=None if fingerprint is None else str(fingerprint),
        features=None if features is None else {str(k): str(v) for k, v in features.items()},
    )


def source_schema(source: Any) -> pa.Schema:
    """Return a schema that holds every batch of a source, reading all of it.

    Types are widened where batches differ (whole numbers to floats, missing to anything); a source
    that can be read only once is then at its end. Raises :class:`InputError` where there is no
    common type, and for no records.
    """
    import pyarrow as pa

    found: pa.Schema | None = None
    for batch in arrow_batches_of(source):
        if found is None:
            found = batch.schema
        elif batch.schema != found:
            try:
                found = pa.unify_schemas([found, batch.schema], promote_options="permissive")
            except pa.ArrowException as error:
                reason = str(error).splitlines()[0]
                raise InputError(f"the records have no common schema: {reason}") from None
    if found is None:
        raise InputError("no records, so no schema to be seen", valid="a declared schema")
    return found


def _hugging_face(source: Any) -> str | None:
    """Return the class of a Hugging Face data set, without importing the library."""
    library = sys.modules.get("datasets")
    for name in ("DatasetDict", "IterableDatasetDict", "Dataset", "IterableDataset"):
        kind = getattr(library, name, None)
        if isinstance(kind, type) and isinstance(source, kind):
            return name
    return None


def _hugging_face_batches(source: Any, kind: str) -> Iterator[pa.RecordBatch]:
    if kind not in {"Dataset", "IterableDataset"}:
        raise InputError(
            "a data set of several splits", valid=f"one of them: {', '.join(map(str, source))}"
        )
    for table in source.with_format("arrow").iter(batch_size=_HF_ROWS):
        yield from table.to_batches()


def _frame_batches(frame: Any) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    try:
        schema = pa.Schema.from_pandas(frame, preserve_index=False)
        for start in range(0, max(1, len(frame)), _ROWS):
            part = frame.iloc[start : start + _ROWS]
            yield pa.RecordBatch.from_pandas(part, schema=schema, preserve_index=False)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"a column of the frame has no Arrow type: {reason}") from None


def _suffix(path: Path) -> str:
    suffixes = [part.lower() for part in path.suffixes]
    return "".join(suffixes[-2:]) if suffixes[-1:] == [".gz"] else "".join(suffixes[-1:])


def _file_batches(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    suffix = _suffix(path)
    lines = partial(jsonl_batches, columns=columns)
    readers = {
        ".jsonl": lines, ".jsonl.gz": lines, ".ndjson": lines, ".ndjson.gz": lines,
        ".csv": _csv, ".csv.gz": _csv, ".parquet": _parquet,
        ".arrow": _arrow, ".feather": _arrow,
    }  # fmt: skip
    if suffix not in readers:
        raise InputError("no kind of file that holds records", where=str(path), valid=_VALID)
    if not path.is_file():
        raise InputError("no such file", where=str(path))
    try:
        yield from readers[suffix](path)
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"the file cannot be read: {reason}", where=str(path)) from None


def _csv(path: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.csv as csv

    names = csv.open_csv(path, parse_options=_parsing()).schema.names
    options = csv.ConvertOptions(
        column_types={name: pa.string() for name in names}, strings_can_be_null=True,
        quoted_strings_can_be_null=False, null_values=[""],
    )  # fmt: skip
    yield from csv.open_csv(path, convert_options=options, parse_options=_parsing())


def _parsing() -> Any:
    import pyarrow.csv as csv

    return csv.ParseOptions(newlines_in_values=True)


def _parquet(path: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as parquet

    with parquet.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=_ROWS)


def _arrow(path: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    with pa.OSFile(str(path)) as source:
        try:
            file = pa.ipc.open_file(source)
            batches = (file.get_batch(index) for index in range(file.num_record_batches))
        except pa.ArrowInvalid:
            source.seek(0)
            batches = iter(pa.ipc.open_stream(source))
        for batch in batches:
            batch.validate(full=True)  # offsets beyond the data are read past it otherwise
            yield batch
