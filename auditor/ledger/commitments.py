"""The records of a split, committed to: one secret-keyed value each, sorted, under one root."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError
from auditor.evidence import sha256
from auditor.ledger.layout import EVIDENCE
from auditor.ledger.record_key import (
    BUCKETS,
    RECORD_METHOD,
    RecordKey,
    bucket_bytes,
    check_split_name,
)
from auditor.ledger.sorted_tree import WIDTH, SortedTree

__all__ = ["RECORDS", "RecordCommitments", "commit_records", "records_file"]

RECORDS = "records"
"""The type of the ledger's entry for a split whose records were committed to."""

_MOST = 2**32 - 1  # the last position means: a record that is not of the split


def records_file(split: str) -> str:
    """Return where in a run the sorted commitments of a split lie.

    >>> records_file("train")
    'evidence/records-train.bin'
    """
    return f"{EVIDENCE}/records-{check_split_name(split)}.bin"


@dataclass(frozen=True, slots=True)
class RecordCommitments:
    """The commitments of a split.

    ``leaves`` are sorted, shape ``[records, 32]`` (uint8); ``places`` is the place of each row
    of the table in them, shape ``[records]`` (uint32).
    """

    split: str
    leaves: NDArray[np.uint8]
    places: NDArray[np.uint32]

    @property
    def name(self) -> str:
        """The file in the run."""
        return records_file(self.split)

    def data(self) -> bytes:
        """Return the content of the file: the leaves, one after the other."""
        return self.leaves.tobytes()

    def body(self) -> dict[str, Any]:
        """Return the body of the ledger's ``records`` entry."""
        data = self.data()
        return {
            "split": self.split,
            "count": len(self.leaves),
            "root": f"sha256:{SortedTree(data).root().hex()}",
            "method": RECORD_METHOD,
            "file": self.name,
            "digest": sha256(data),
        }


def commit_records(
    records: Sequence[str], key: RecordKey, *, split: str, where: str | None = None
) -> RecordCommitments:
    """Commit to the record ids of a split, in the order of its rows.

    An id is text, as the table writes it. Raises :class:`InputError` for ids that repeat: a proof
    speaks of one record; ``where`` names the table in that message.
    """
    check_split_name(split)
    if len(records) >= _MOST:
        raise InputError(f"{len(records):,} records are too many", valid=f"less than {_MOST:,}")
    buckets = np.frombuffer(bucket_bytes(records), ">u2")
    by_bucket = np.argsort(buckets, kind="stable")
    ends = np.cumsum(np.bincount(buckets, minlength=BUCKETS)).tolist()
    rows: list[int] = by_bucket.tolist()
    found, start = list[bytes](), 0
    for bucket, end in enumerate(ends):
        if end > start:
            found += key.commitments(split, bucket, (records[row] for row in rows[start:end]))
        start = end
    leaves = np.frombuffer(b"".join(found), np.uint8).reshape(-1, WIDTH)
    order = np.lexsort(leaves.view(">u8").T[::-1])
    leaves = leaves[order]
    repeated = int((leaves[1:] == leaves[:-1]).all(axis=1).sum())
    if repeated:
        raise InputError(
            f"record ids repeat: {repeated:,} of {len(records):,}",
            where=where or f"{split}=", valid="ids that are unique",
        )  # fmt: skip
    places = np.empty(len(records), np.uint32)
    places[by_bucket[order]] = np.arange(len(records), dtype=np.uint32)
    return RecordCommitments(split, leaves, places)
