from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.ledger.tree import tree_root
from auditor.provenance import record_tree
from auditor.provenance.record_tree import (
    MerkleTree,
    inclusion_path,
    root_from_path,
    sha256_each,
)


def leaves_of(data: Sequence[bytes]) -> np.ndarray:
    hashed = b"".join(hashlib.sha256(b"\0" + d).digest() for d in data)
    return np.frombuffer(hashed, np.uint8).reshape(-1, 32)


@given(st.lists(st.binary(max_size=3), max_size=40), st.integers(1, 7), st.sampled_from([2, 8]))
def test_the_root_is_that_of_the_ledgers_tree(data: list[bytes], step: int, subtree: int) -> None:
    """Two implementations of RFC 6962 that share no line."""
    leaves, tree = leaves_of(data), MerkleTree(subtree=subtree)
    for start in range(0, len(leaves), step):
        tree.add(leaves[start : start + step])
    assert tree.root() == tree_root(data)
    assert tree.size == len(data)


@given(st.lists(st.binary(max_size=3), min_size=1, max_size=33), st.data())
def test_a_path_leads_to_the_root_from_its_own_leaf_only(
    data: list[bytes], draw: st.DataObject
) -> None:
    leaves = leaves_of(data)
    index = draw.draw(st.integers(0, len(data) - 1))
    other = draw.draw(st.integers(0, len(data) - 1))
    path = inclusion_path(leaves, index)
    leaf = leaves[index].tobytes()
    assert root_from_path(leaf, index, len(data), path) == tree_root(data)
    moved = leaves[other].tobytes()
    assert (root_from_path(moved, index, len(data), path) == tree_root(data)) == (moved == leaf)


@pytest.mark.parametrize("size", [0, 1, 4_095, 4_096, 70_000])
def test_many_values_are_hashed_like_one(size: int) -> None:
    data = [b"%d" % i * (i % 40) for i in range(size)]
    found = sha256_each(pa.array(data, pa.large_binary()))
    assert [row.tobytes() for row in found] == [hashlib.sha256(d).digest() for d in data]


@pytest.mark.parametrize("size", [4_095, 30_001])
def test_a_large_tree_is_that_of_the_ledger(size: int) -> None:
    data = [b"%d" % i for i in range(size)]
    tree = MerkleTree()
    tree.add(leaves_of(data))
    assert tree.root() == tree_root(data)


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_a_leaf_that_is_none_is_refused(index: int, size: int) -> None:
    with pytest.raises(InputError, match=f"no leaf {index} in a tree of {size}"):
        inclusion_path(np.zeros((size, 32), np.uint8), index)
    with pytest.raises(InputError, match=f"no leaf {index} in a tree of {size}"):
        root_from_path(bytes(32), index, size, [])


def test_a_forked_process_has_a_database_of_its_own() -> None:
    assert record_tree._database(1) is not record_tree._database(2)
