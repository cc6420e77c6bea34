from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from auditor.provenance.record_set import RecordSet

HEAD = bytes(range(32))
# Few values in the places that are compared first and last, so that prefixes are shared.
digests = st.builds(
    lambda first, near, last: bytes([first]) + bytes(6) + bytes([near]) + bytes(23) + bytes([last]),
    st.integers(0, 255), st.integers(0, 1), st.integers(0, 2),
)  # fmt: skip


def reference(values: list[bytes]) -> bytes:
    counts = Counter(values)
    entries = (value + counts[value].to_bytes(8, "little") for value in sorted(counts))
    return hashlib.sha256(HEAD + b"".join(entries)).digest()


def found(values: list[bytes], *, step: int, held: int) -> bytes:
    array = np.frombuffer(b"".join(values), np.uint8).reshape(-1, 32)
    with RecordSet(HEAD, held=held) as records:
        for start in range(0, len(array), step):
            records.add(array[start : start + step])
        once = records.digest()
        assert records.digest() == once
        return once


@given(st.lists(digests, max_size=30), st.integers(1, 9), st.sampled_from([2, 7, 1_000]))
def test_the_digest_is_that_of_the_sorted_counts_however_it_is_held(
    values: list[bytes], step: int, held: int
) -> None:
    assert found(values, step=step, held=held) == reference(values)


def test_many_equal_records_need_no_file() -> None:
    with RecordSet(HEAD, held=10) as records:
        for _ in range(100):
            records.add(np.zeros((5, 32), np.uint8))
        assert not records._files
        assert records.digest() == reference([bytes(32)] * 500)
