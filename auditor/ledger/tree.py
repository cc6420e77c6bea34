"""The Merkle tree head of RFC 6962 over a sequence of byte strings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

__all__ = ["GrowingTree", "hashes_root", "leaf_hash", "tree_root"]


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
    return hashes_root([leaf_hash(leaf) for leaf in leaves])


def hashes_root(level: Sequence[bytes]) -> bytes:
    """Return the tree head over leaves of which only the hashes are known."""
    if not level:
        return sha256(b"").digest()
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        above = [node_hash(left, right) for left, right in pairs]
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0]


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
