"""The Merkle tree of RFC 6962 over a sequence of byte strings: heads and proofs about them.

An *inclusion path* shows that a leaf stands at a place in a tree, a *consistency path* that a tree
is the beginning of a larger one. Both are the few hashes that the reader of a proof lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

__all__ = [
    "GrowingTree",
    "consistency_path",
    "fold_hashes",
    "hash_path",
    "inclusion_path",
    "is_consistent",
    "leaf_hash",
    "level_above",
    "node_hash",
    "root_from_path",
    "tree_root",
]


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf, ``SHA-256(0x00 || data)`` (RFC 6962, section 2.1)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node, ``SHA-256(0x01 || left || right)``."""
    return sha256(b"\x01" + left + right).digest()


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """Return the Merkle tree head of ``leaves``: 32 bytes (RFC 6962, section 2.1).

    ``MTH({}) = SHA-256("")``, ``MTH({d}) = leaf_hash(d)``, and
    ``MTH(D) = node_hash(MTH(D[:k]), MTH(D[k:]))`` for the largest power of two ``k`` below the
    number of leaves. Pairing neighbours level by level, an odd one moving up unchanged, gives the
    same tree without the recursion.

    >>> tree_root([]).hex()[:16], tree_root([b""]).hex()[:16]
    ('e3b0c44298fc1c14', '6e340b9cffb37a98')
    """
    return fold_hashes([sha256(b"\x00" + leaf).digest() for leaf in leaves])


def fold_hashes(level: Sequence[bytes]) -> bytes:
    """Return the root over the hashes of one level: of leaves, or of equal full subtrees."""
    if not level:
        return sha256(b"").digest()
    while len(level) > 1:
        level = level_above(level)
    return level[0]


def inclusion_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the hashes that lead from leaf ``index`` to the root (RFC 6962, section 2.1.1).

    Raises :class:`IndexError` where there is no such leaf.

    >>> inclusion_path([b"a", b"b"], 0) == [leaf_hash(b"b")]
    True
    """
    return hash_path([leaf_hash(leaf) for leaf in leaves], index)


def hash_path(level: Sequence[bytes], index: int) -> list[bytes]:
    """Return the inclusion path of one hash in a level, the lowest sibling first."""
    if not 0 <= index < len(level):
        raise IndexError(f"leaf {index} of {len(level)}")
    path: list[bytes] = []
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):  # the odd one of a level moves up without a sibling
            path.append(level[sibling])
        level, index = level_above(level), index >> 1
    return path


def root_from_path(hash_: bytes, *, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root of a tree of ``size`` leaves in which ``hash_`` is that of leaf ``index``.

    ``None`` where the path has not the length that index and size ask for (RFC 9162, section
    2.1.3.2). Whoever compares the result with a root that he trusts has verified an inclusion.

    >>> root_from_path(leaf_hash(b""), index=0, size=1, path=[]) == tree_root([b""])
    True
    """
    if not 0 <= index < size:
        return None
    rest, last = iter(path), size - 1
    while last:
        if index % 2 or index < last:
            sibling = next(rest, None)
            if sibling is None:
                return None
            hash_ = node_hash(sibling, hash_) if index % 2 else node_hash(hash_, sibling)
        index, last = index >> 1, last >> 1
    return hash_ if next(rest, None) is None else None


def consistency_path(leaves: Sequence[bytes], first: int) -> list[bytes]:
    """Return the proof that the first ``first`` leaves are the beginning (RFC 6962, 2.1.2).

    Raises :class:`ValueError` unless ``0 < first <= len(leaves)``.
    """
    if not 0 < first <= len(leaves):
        raise ValueError(f"no tree of {first} leaves is a beginning of one of {len(leaves)}")
    hashes, path, whole = [leaf_hash(leaf) for leaf in leaves], list[bytes](), True
    while first < len(hashes):
        half = 1 << (len(hashes) - 1).bit_length() - 1
        left, right = hashes[:half], hashes[half:]
        if first <= half:
            path.append(fold_hashes(right))
            hashes = left
        else:
            path.append(fold_hashes(left))
            hashes, first, whole = right, first - half, False
    if not whole:
        path.append(fold_hashes(hashes))
    return path[::-1]


def is_consistent(
    *, first: int, first_root: bytes, size: int, root: bytes, path: Sequence[bytes]
) -> bool:
    """Whether a tree of ``first`` leaves is the beginning of one of ``size`` (RFC 9162, 2.1.4.2).

    An empty tree is the beginning of every tree, and needs no path.
    """
    if first == size:
        return not path and first_root == root
    if first == 0:
        return not path and first_root == sha256(b"").digest()
    if not 0 < first < size:
        return False
    hashes = list(path)
    if first & (first - 1) == 0:  # a full tree is itself the first node of the path
        hashes.insert(0, first_root)
    if not hashes:
        return False
    index, last = first - 1, size - 1
    while index % 2:
        index, last = index >> 1, last >> 1
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if not last:
            return False
        if index % 2 or index == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while index and not index % 2:
                index, last = index >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        index, last = index >> 1, last >> 1
    return not last and old == first_root and new == root


def level_above(level: Sequence[bytes]) -> list[bytes]:
    """Return the hashes one level up: neighbours paired, an odd one unchanged."""
    # Spelt out, because a call of node_hash for each pair costs as much as its hash.
    pairs = zip(level[::2], level[1::2], strict=False)
    above = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
    if len(level) % 2:
        above.append(level[-1])
    return above


@dataclass(frozen=True)
class GrowingTree:
    """The tree of the leaves so far, as the roots of its full subtrees, the largest first.

    Adding a leaf gives a new tree; both cost the logarithm of the size.

    >>> GrowingTree().plus(b"").plus(b"\\x00").root() == tree_root([b"", b"\\x00"])
    True
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def plus(self, leaf: bytes) -> GrowingTree:
        """Return the tree with one more leaf."""
        top, rest, full = leaf_hash(leaf), list(self.peaks), self.size
        while full % 2:  # every trailing one of the size is a subtree that the leaf completes
            top = node_hash(rest.pop(), top)
            full //= 2
        return GrowingTree(self.size + 1, (*rest, top))

    def root(self) -> bytes:
        """Return the tree head: 32 bytes."""
        if not self.peaks:
            return sha256(b"").digest()
        *rest, root = self.peaks
        while rest:
            root = node_hash(rest.pop(), root)
        return root
