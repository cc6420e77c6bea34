"""How the slots of a MinHash are put into bands, and what is missed by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

__all__ = ["Bands"]

_SLOTS = 64
_MOST_MISSED = 1e-3


@dataclass(frozen=True, slots=True)
class Bands:
    """``bands`` of ``rows`` slots each: documents that share a band are compared.

    Two sets of Jaccard similarity s share a band with probability 1 − (1 − sʳ)ᵇ (Leskovec,
    Rajaraman and Ullman, Mining of Massive Datasets, section 3.4.2).
    """

    bands: int
    rows: int

    @classmethod
    def of(cls, similarity: float) -> Self:
        """Return the narrowest net out of 64 slots that misses at most one pair in 1,000.

        >>> Bands.of(0.8)
        Bands(bands=16, rows=4)
        """
        return max(
            (made for rows in range(1, _SLOTS + 1)
             if (made := cls(_SLOTS // rows, rows)).missed(similarity) <= _MOST_MISSED),
            key=lambda made: made.rows, default=cls(_SLOTS, 1),
        )  # fmt: skip

    @property
    def slots(self) -> int:
        """The number of slots that are used."""
        return self.bands * self.rows

    def missed(self, similarity: float) -> float:
        """Return the probability that a pair of this similarity shares no band: (1 − sʳ)ᵇ."""
        return (1 - similarity**self.rows) ** self.bands
