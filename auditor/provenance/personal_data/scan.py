"""Personal data in columns of Arrow tables: counted, and recognised again by who holds the key."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError, nearest
from auditor.provenance.personal_data.kinds import CATEGORIES, KIND_IDS, category_of, select_kinds
from auditor.provenance.personal_data.matching import Search, matches

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "DIGEST_METHOD",
    "Column",
    "Found",
    "PersonalData",
    "find",
    "scan_personal_data",
    "value_digest",
]

DIGEST_METHOD = "hmac-sha256-128"

_CHUNK = 1 << 20
_OVERLAP = 1 << 12
_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in the values of one column: the row and the kind of each occurrence.

    ``rows`` and ``kinds`` (positions in ``KIND_IDS``) have shape ``[occurrences]``; ``digests``
    has as many entries where a key was given, and none otherwise.
    """

    rows: NDArray[np.int64]
    kinds: NDArray[np.int64]
    digests: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """How many records of a column hold a kind, and how often it occurs in them altogether."""

    records: int
    occurrences: int


@dataclass(frozen=True, slots=True)
class PersonalData:
    """What a scan found: counts, and digests under the key that was given; never a value.

    Parameters
    ----------
    records:
        How many records were scanned.
    affected:
        How many of them hold anything.
    kinds, categories:
        How many records hold a kind, or a kind of a category, in any column; 0 included.
    columns:
        By column and kind, where something was found.
    digests:
        By kind the 10,000 smallest keyed digests of the distinct values; empty without a key.
    distinct:
        By kind how many distinct values there are: exact up to 10,000, and estimated beyond, by
        Bar-Yossef et al. (2002), from how close together the smallest digests lie.
    """

    records: int
    affected: int
    kinds: dict[str, int]
    categories: dict[str, int]
    columns: dict[tuple[str, str], Column]
    digests: dict[str, tuple[str, ...]]
    distinct: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "records": self.records,
            "affected": self.affected,
            "kinds": self.kinds,
            "categories": self.categories,
            "columns": [
                {"column": name, "kind": kind, "records": c.records, "occurrences": c.occurrences}
                for (name, kind), c in sorted(self.columns.items())
            ],
            "digest_method": DIGEST_METHOD if self.distinct else None,
            "digests": {kind: list(found) for kind, found in self.digests.items()},
            "distinct": self.distinct,
        }


def scan_personal_data(
    batches: Iterable[pa.RecordBatch | pa.Table],
    columns: Sequence[str] | None = None,
    *,
    kinds: Sequence[str] | None = None,
    key: bytes | None = None,
) -> PersonalData:
    """Look for personal data in the columns of a table that comes in parts.

    Parameters
    ----------
    batches:
        Record batches or tables with the same columns; memory is that of one of them.
    columns:
        Columns of text or of whole numbers; by default all of these kinds that there are.
    kinds:
        Kinds (``us-ssn``) or categories (``national-id``); all by default.
    key:
        A secret of 16 bytes and more. With it each value has a digest, HMAC-SHA-256 under the key
        cut to 128 bits, by which the holder of the key recognises a value that he has; nobody else
        can try out all telephone numbers. Without it nothing is kept but counts.

    Finding is by pattern and check digits. It misses what is written out in words, in digits that
    are not ASCII, or in another encoding; names of people have no pattern at all. Raises
    :class:`InputError` for a column that is not there, an unknown kind, or a short key.
    """
    if key is not None and len(key) < 16:
        raise InputError(f"the key has {len(key)} bytes", valid="16 bytes and more")
    chosen = select_kinds(kinds)
    total = _Totals(len(KIND_IDS))
    searches: dict[str, Search] = {}
    for batch in batches:
        held = np.zeros((batch.num_rows, len(KIND_IDS)), bool)
        for name in _columns(batch, columns):
            if name not in searches:
                searches[name] = Search.of(chosen, column=name)
            found = find(_one_array(batch.column(name)), searches[name], key=key)
            held[found.rows, found.kinds] = True
            total.add_column(name, found)
        total.add_records(held)
    return total.result(chosen, keyed=key is not None)


def find(values: pa.Array, search: Search, *, key: bytes | None = None) -> Found:
    """Find personal data in the values of one column; text, or whole numbers as they are written.

    A value of any length is read in parts of 1 MiB that overlap, so that a match across the border
    of two parts is found once.
    """
    numbers: NDArray[np.int64] | None = None
    if not _is_text(values.type):
        values, numbers = _long_numbers(values, search)
    rows: list[int] = []
    kinds: list[int] = []
    digests: list[bytes] = []
    for text, starts, first, low, high in _parts(values):
        found = [match for match in matches(text, search) if low <= match.start < high]
        if not found:
            continue
        at = np.array([match.start for match in found])
        rows += (np.searchsorted(starts, at, side="right") - 1 + first).tolist()
        kinds += [match.kind for match in found]
        if key is not None:
            digests += [_digest(key, match.kind, match.value) for match in found]
    where = np.array(rows, np.int64)
    return Found(
        where if numbers is None else numbers[where], np.array(kinds, np.int64), tuple(digests)
    )


def _long_numbers(values: pa.Array, search: Search) -> tuple[pa.Array, NDArray[np.int64]]:
    """Return as text the numbers that are long enough to be anything, and their rows.

    What needs no word beside it has 11 digits and more; the shortest telephone numbers have 7.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    compute: Any = pc
    least = 10**6 if search.named else 10**10
    # A column of small integers cannot hold one, and Arrow would not compare with it.
    if values.type.bit_width < 64 and least > 1 << values.type.bit_width:
        return pa.array([], pa.string()), np.zeros(0, np.int64)
    long = compute.fill_null(
        compute.greater_equal(
            values.cast(pa.uint64() if pa.types.is_unsigned_integer(values.type) else pa.int64()),
            least,
        ),
        False,
    )
    rows = np.flatnonzero(long.to_numpy(zero_copy_only=False))
    return values.filter(long).cast(pa.string()), rows


def value_digest(value: str, *, kind: str, key: bytes) -> str:
    """Return the digest that a run with this key keeps of a value: 32 hex digits.

    ``key`` is :meth:`auditor.ledger.record_key.RecordKey.digest_key`. Raises :class:`InputError`
    where the value is none of that kind.
    """
    import pyarrow as pa

    found = find(pa.array([value]), Search.of((kind,), column=kind), key=key)
    if not found.digests:
        raise InputError(f"no {kind} is in the value", where="value", valid="one as it is written")
    return found.digests[0].hex()


def _digest(key: bytes, kind: int, value: str) -> bytes:
    # The kind is part of it, so that equal digests are equal values of the same kind.
    text = f"{KIND_IDS[kind]}\0{value}".encode()
    return hmac.digest(key, text, hashlib.sha256)[:16]


def _parts(
    values: pa.Array,
) -> Iterator[tuple[bytes, NDArray[np.int64], int, int, int]]:
    """Yield texts with the starts of their records, the first record, and which starts count."""
    import pyarrow as pa
    import pyarrow.compute as pc

    compute: Any = pc
    if pa.types.is_string_view(values.type) or pa.types.is_large_string(values.type):
        wide = values
    else:
        wide = values.cast(pa.large_string())
    wide = compute.fill_null(wide.cast(pa.large_string()), "")
    lengths = compute.binary_length(wide).to_numpy(zero_copy_only=False)
    ends = np.cumsum(lengths + 1)
    first = 0
    while first < len(wide):
        if lengths[first] > _CHUNK:
            buffer = wide[first].as_buffer()
            yield from _long_value(memoryview(buffer), first)
            first += 1
            continue
        before = ends[first] - lengths[first] - 1
        last = int(np.searchsorted(ends, before + _CHUNK, side="right"))
        # A long value after some short ones has its own turn.
        last = max(last, first + 1)
        part = wide.slice(first, last - first).cast(pa.binary())
        whole = pa.ListArray.from_arrays(pa.array([0, len(part)], pa.int32()), part)
        text = compute.binary_join(whole, b"\0")[0].as_buffer().to_pybytes()
        starts = (ends - lengths - 1)[first:last] - before
        yield text, starts, first, 0, len(text)
        first = last


def _long_value(
    value: memoryview, record: int
) -> Iterator[tuple[bytes, NDArray[np.int64], int, int, int]]:
    zero = np.zeros(1, np.int64)
    for start in range(0, len(value), _CHUNK):
        left = max(0, start - _OVERLAP)
        text = bytes(value[left : start + _CHUNK + _OVERLAP])
        yield text, zero, record, start - left, start - left + _CHUNK


class _Totals:
    """Counts that add up over batches."""

    def __init__(self, kinds: int) -> None:
        self.records = self.affected = 0
        self.kinds = np.zeros(kinds, np.int64)
        self.categories = dict.fromkeys(CATEGORIES, 0)
        self.columns: dict[tuple[str, str], Column] = {}
        self.digests: dict[str, set[bytes]] = {}

    def add_column(self, name: str, found: Found) -> None:
        pairs = np.unique(np.stack([found.rows, found.kinds]), axis=1)
        for kind in np.unique(found.kinds).tolist():
            old = self.columns.get((name, KIND_IDS[kind]), Column(0, 0))
            self.columns[name, KIND_IDS[kind]] = Column(
                old.records + int((pairs[1] == kind).sum()),
                old.occurrences + int((found.kinds == kind).sum()),
            )
        for kind, digest in zip(found.kinds.tolist(), found.digests, strict=False):
            self.digests.setdefault(KIND_IDS[kind], set()).add(digest)
        for kind, kept in self.digests.items():
            if len(kept) > 2 * _KEPT:
                self.digests[kind] = set(sorted(kept)[:_KEPT])

    def add_records(self, held: NDArray[np.bool_]) -> None:
        self.records += held.shape[0]
        self.affected += int(held.any(axis=1).sum())
        self.kinds += held.sum(axis=0)
        for category in CATEGORIES:
            of = [i for i, kind in enumerate(KIND_IDS) if category_of(kind) == category]
            self.categories[category] += int(held[:, of].any(axis=1).sum())

    def result(self, chosen: Sequence[str], *, keyed: bool) -> PersonalData:
        counts = dict(zip(KIND_IDS, self.kinds.tolist(), strict=True))
        kept = {kind: sorted(found)[:_KEPT] for kind, found in sorted(self.digests.items())}
        within = {category_of(kind) for kind in chosen}
        return PersonalData(
            self.records,
            self.affected,
            {kind: counts[kind] for kind in chosen},
            {name: n for name, n in self.categories.items() if name in within},
            self.columns,
            {kind: tuple(d.hex() for d in found) for kind, found in kept.items()},
            {kind: _distinct(kept.get(kind, [])) for kind in chosen if kind in kept}
            if keyed
            else {},
        )


def _distinct(smallest: Sequence[bytes]) -> int:
    if len(smallest) < _KEPT:
        return len(smallest)
    share = (int.from_bytes(smallest[-1], "big") + 1) / (1 << 128)
    return round((len(smallest) - 1) / share)


def _columns(batch: Any, columns: Sequence[str] | None) -> list[str]:
    import pyarrow as pa

    names: list[str] = list(batch.schema.names)
    if columns is None:
        types = [field.type for field in batch.schema]
        return [
            n for n, t in zip(names, types, strict=True) if _is_text(t) or pa.types.is_integer(t)
        ]
    for name in columns:
        if name not in names:
            raise InputError(f"there is no column {name!r}", valid=nearest(name, names))
        kind = batch.schema.field(name).type
        if not (_is_text(kind) or pa.types.is_integer(kind)):
            raise InputError(
                f"column {name!r} holds {kind}", valid="a column of text or of whole numbers"
            )
    return list(columns)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def _one_array(values: Any) -> pa.Array:
    import pyarrow as pa

    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
        if isinstance(values, pa.ChunkedArray):
            values = (
                pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], "string")
            )
    return values
