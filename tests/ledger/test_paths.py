"""Inclusion and consistency paths of RFC 6962."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.ledger.tree import (
    consistency_path,
    inclusion_path,
    is_consistent,
    leaf_hash,
    root_from_path,
    tree_root,
)

# The eight leaves of the reference implementation of certificate transparency.
LEAVES = [
    bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")
] + [bytes(range(0x60, 0x70))]

leaf_lists = st.lists(st.binary(max_size=4), min_size=1, max_size=70)


def defined_path(leaves: list[bytes], index: int) -> list[bytes]:
    """PATH(m, D[n]), as section 2.1.1 defines it."""
    if len(leaves) == 1:
        return []
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if index < k:
        return [*defined_path(leaves[:k], index), tree_root(leaves[k:])]
    return [*defined_path(leaves[k:], index - k), tree_root(leaves[:k])]


def defined_proof(leaves: list[bytes], first: int, *, whole: bool = True) -> list[bytes]:
    """SUBPROOF(m, D[n], b), as section 2.1.2 defines it."""
    if first == len(leaves):
        return [] if whole else [tree_root(leaves)]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if first <= k:
        return [*defined_proof(leaves[:k], first, whole=whole), tree_root(leaves[k:])]
    return [*defined_proof(leaves[k:], first - k, whole=False), tree_root(leaves[:k])]


def test_the_published_paths() -> None:
    assert [part.hex() for part in inclusion_path(LEAVES, 0)] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]
    assert [part.hex() for part in consistency_path(LEAVES, 1)] == [
        part.hex() for part in inclusion_path(LEAVES, 0)
    ]


@given(leaf_lists, st.data())
def test_paths_are_those_of_the_definition_and_lead_to_the_root(
    leaves: list[bytes], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = inclusion_path(leaves, index)
    assert path == defined_path(leaves, index)
    found = root_from_path(leaf_hash(leaves[index]), index=index, size=len(leaves), path=path)
    assert found == tree_root(leaves)


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=40, unique=True), st.data())
def test_a_path_fits_no_other_leaf_place_or_length(
    leaves: list[bytes], data: st.DataObject
) -> None:
    size = len(leaves)
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(-1, size + 1))
    path, root = inclusion_path(leaves, index), tree_root(leaves)
    leaf = leaf_hash(leaves[index])
    if other != index:
        assert root_from_path(leaf, index=other, size=size, path=path) != root
    for wrong in (path[1:], path[:-1], [*path, bytes(32)], [bytes(32), *path], path[::-1]):
        if wrong != path:
            assert root_from_path(leaf, index=index, size=size, path=wrong) != root


@given(leaf_lists, st.data())
def test_a_tree_is_consistent_with_its_beginnings(leaves: list[bytes], data: st.DataObject) -> None:
    first = data.draw(st.integers(1, len(leaves)))
    path = consistency_path(leaves, first)
    assert path == defined_proof(leaves, first)
    old, new = tree_root(leaves[:first]), tree_root(leaves)
    assert is_consistent(first=first, first_root=old, size=len(leaves), root=new, path=path)
    wrong = data.draw(st.binary(min_size=32, max_size=32))
    for changed in (
        {"first_root": wrong},
        {"root": wrong},
        {"path": [*path, wrong]},
        {"path": path[1:]} if path else {"root": wrong},
        {"first": first + 1},
        {"size": first - 1},
    ):
        claim = {"first": first, "first_root": old, "size": len(leaves), "root": new, "path": path}
        assert not is_consistent(**(claim | changed)), changed


@given(leaf_lists)
def test_the_empty_tree_is_the_beginning_of_every_tree(leaves: list[bytes]) -> None:
    root, nothing = tree_root(leaves), tree_root([])
    claim = {"first": 0, "size": len(leaves), "root": root}
    assert is_consistent(**claim, first_root=nothing, path=[])
    assert not is_consistent(**claim, first_root=root, path=[])
    assert not is_consistent(**claim, first_root=nothing, path=[root])
    assert is_consistent(first=0, first_root=nothing, size=0, root=nothing, path=[])


def test_there_is_no_path_for_a_leaf_that_is_not_there() -> None:
    with pytest.raises(IndexError):
        inclusion_path(LEAVES, 8)
    with pytest.raises(IndexError):
        inclusion_path([], 0)
    with pytest.raises(ValueError, match="no tree of 9 leaves"):
        consistency_path(LEAVES, 9)
    assert root_from_path(bytes(32), index=0, size=0, path=[]) is None
