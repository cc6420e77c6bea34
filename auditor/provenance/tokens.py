"""The tokens of texts and rows as 64-bit hashes, in bulk: no Python object a token.

A text is normalised before it is cut: Unicode NFKC, case folded, invisible format characters taken
out, and every run of punctuation, symbols, white space and line breaks is one border between
tokens. A sign of a script that is written without spaces (Han, Kana, Thai, Lao, Khmer, Myanmar) is
a token of its own. What differs only in these is the same text here, re-wrapped lines included.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TOKEN_METHOD", "Tokens", "concatenated", "distinct", "mixed", "text_tokens"]

TOKEN_METHOD = "nfkc-casefold-words"

_LONGEST = 64
_PIECE = 1 << 18
_DOCUMENTS = 4096
_FOLD = np.zeros(256, np.uint8)
_FOLD[128:] = np.arange(128, 256)
for _code in map(ord, "0123456789abcdefghijklmnopqrstuvwxyz"):
    _FOLD[_code] = _code
    _FOLD[ord(chr(_code).upper())] = _code
_KEPT = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)
_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """Hashes of the tokens of documents, one document after another.

    Parameters
    ----------
    values:
        uint64, shape ``[tokens]``.
    offsets:
        int64, shape ``[documents + 1]``: document ``i`` has ``values[offsets[i]:offsets[i + 1]]``.
    """

    values: NDArray[np.uint64]
    offsets: NDArray[np.int64]

    @property
    def documents(self) -> int:
        """The number of documents, empty ones included."""
        return self.offsets.size - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of tokens of each document."""
        return np.diff(self.offsets)

    def chosen(self, documents: NDArray[np.bool_]) -> Tokens:
        """Return the marked documents."""
        if documents.all():
            return self
        lengths = self.lengths
        offsets = np.zeros(int(documents.sum()) + 1, np.int64)
        np.cumsum(lengths[documents], out=offsets[1:])
        return Tokens(self.values[np.repeat(documents, lengths)], offsets)

    def keys(self) -> NDArray[np.uint64]:
        """Return one hash a document, equal for equal sequences of tokens, shape ``[documents]``.

        Two different documents share one with probability 2⁻⁶⁴.
        """
        position = np.arange(self.values.size, dtype=np.int64)
        position -= np.repeat(self.offsets[:-1], self.lengths)
        placed = mixed(self.values + position.astype(np.uint64) * _ODD)
        sums = np.zeros(placed.size + 1, np.uint64)
        np.cumsum(placed, out=sums[1:])
        return mixed(sums[self.offsets[1:]] - sums[self.offsets[:-1]])


def concatenated(parts: Sequence[Tokens]) -> Tokens:
    """Return the documents of all parts, one part after another."""
    if len(parts) == 1:
        return parts[0]
    offsets = np.zeros(sum(part.documents for part in parts) + 1, np.int64)
    lengths = [part.lengths for part in parts]
    np.cumsum(np.concatenate([np.zeros(0, np.int64), *lengths]), out=offsets[1:])
    return Tokens(np.concatenate([np.zeros(0, np.uint64), *(p.values for p in parts)]), offsets)


def mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of each value, one to one (the finaliser of splitmix64, Steele et al. 2014)."""
    out = values ^ (values >> np.uint64(30))
    out *= np.uint64(0xBF58476D1CE4E5B9)
    out ^= out >> np.uint64(27)
    out *= np.uint64(0x94D049BB133111EB)
    out ^= out >> np.uint64(31)
    return out


def distinct(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the distinct values in order; by sorting, many times as fast here as ``unique``."""
    ordered = np.sort(values)
    return ordered[np.diff(ordered, prepend=ordered[:1] - np.uint64(1)) != 0]


def text_tokens(texts: pa.Array | pa.ChunkedArray) -> Tokens:
    """Normalise texts and hash their tokens; a missing text has none.

    Tokens of up to 8 bytes have hashes of their own; any two others share one with probability
    2⁻⁶⁴.

    >>> import pyarrow as pa
    >>> one, other = (text_tokens(pa.array([t])) for t in ("Well,\\n DONE!", "well done"))
    >>> one.values.tolist() == other.values.tolist()
    True
    """
    data, borders = _bytes(texts)
    parts: list[Tokens] = []
    first, last = 0, borders.size - 1
    while first < last:
        # Pieces that fit into the processor's cache are three times as fast as the whole.
        end = int(np.searchsorted(borders, borders[first] + _PIECE, side="right")) - 1
        end = min(max(end, first + 1), first + _DOCUMENTS, last)
        piece = data[borders[first] : borders[end]]
        parts.append(_piece_tokens(piece, borders[first : end + 1] - borders[first]))
        first = end
    return concatenated(parts)


def _piece_tokens(data: NDArray[np.uint8], borders: NDArray[np.int64]) -> Tokens:
    if data.size and data.max() >= 128:
        data, borders = _bytes(_folded(data, borders))
    # Eight zeros more, so that eight bytes can be read from anywhere.
    padded = np.zeros(data.size // 8 * 8 + 24, np.uint8)
    np.take(_FOLD, data, out=padded[: data.size], mode="clip")
    word = padded[: data.size] != 0
    before = np.zeros(data.size + 1, bool)
    before[1:] = word
    before[borders] = False
    starts = np.flatnonzero(word & ~before[:-1])
    after = np.zeros(data.size + 1, bool)
    after[:-1] = word
    after[borders] = False
    ends = np.flatnonzero(word & ~after[1:]) + 1
    offsets = np.searchsorted(starts, borders)
    return Tokens(_hashes(padded, starts, ends - starts), offsets.astype(np.int64))


def _bytes(texts: pa.Array | pa.ChunkedArray) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the UTF-8 of all texts together, and the borders between them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = pc.fill_null(texts.cast(pa.large_string()), "")
    array = plain.combine_chunks() if isinstance(plain, pa.ChunkedArray) else plain
    if not len(array):
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    _, places, data = array.buffers()
    borders = np.frombuffer(places, np.int64)[array.offset : array.offset + len(array) + 1]
    if data is None or borders[-1] == borders[0]:
        return np.zeros(0, np.uint8), np.zeros(len(array) + 1, np.int64)
    return np.frombuffer(data, np.uint8)[borders[0] : borders[-1]], borders - borders[0]


def _hashes(
    padded: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Hash tokens eight bytes at a time; the few very long ones by BLAKE2."""
    words = padded.view("<u8")
    out = mixed(_eight(words, starts, lengths))
    rest, done = np.flatnonzero(lengths > 8), 8
    while rest.size and done < _LONGEST:
        more = _eight(words, starts[rest] + done, lengths[rest] - done)
        out[rest] = mixed(out[rest] * _ODD + more)
        done += 8
        rest = rest[lengths[rest] > done]
    for place in rest.tolist():
        token = padded[starts[place] : starts[place] + lengths[place]].tobytes()
        out[place] = int.from_bytes(blake2b(token, digest_size=8).digest(), "little")
    return out


def _eight(
    words: NDArray[np.uint64], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Read up to eight bytes from each place, as one number."""
    place, shift = starts >> 3, ((starts & 7) << 3).astype(np.uint64)
    out = words[place] >> shift
    # A shift by 64 is not defined: by 63 and by one more, it gives the wanted 0.
    out |= (words[place + 1] << (np.uint64(63) - shift)) << np.uint64(1)
    out &= _KEPT[np.minimum(lengths, 8)]
    return out


def _folded(data: NDArray[np.uint8], borders: NDArray[np.int64]) -> pa.Array:
    """Normalise the texts that are not ASCII, all at once; the others stay as they are."""
    import pyarrow as pa
    from pyarrow.compute import call_function

    texts = pa.LargeStringArray.from_buffers(
        borders.size - 1, pa.py_buffer(borders), pa.py_buffer(data)
    )
    wide = np.zeros(data.size + 1, np.int64)
    np.cumsum(data >= 128, out=wide[1:])
    mask = wide[borders[1:]] > wide[borders[:-1]]
    # A unit separator borders texts; it composes with nothing, and inside a text it is a border.
    chosen = [text.replace("\x1f", " ") for text in texts.filter(pa.array(mask)).to_pylist()]
    joined = unicodedata.normalize("NFKC", "\x1f".join(chosen)).casefold()
    folded = unicodedata.normalize("NFKC", joined).translate(_SIGNS).split("\x1f")
    replaced = [texts, pa.array(mask), pa.array(folded, pa.large_string())]
    return call_function("replace_with_mask", replaced)


_UNSPACED = ("CJK UNIFIED", "CJK COMPAT", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")


class _Signs(dict[int, str | None]):
    """What each sign becomes, found when it is first seen."""

    def __missing__(self, code: int) -> str | None:
        sign = chr(code)
        kind = unicodedata.category(sign)
        if kind == "Cf":
            self[code] = None
        elif kind[0] in "PSZC":
            self[code] = " "
        elif unicodedata.name(sign, "").startswith(_UNSPACED) and kind[0] == "L":
            self[code] = f" {sign} "
        else:
            self[code] = sign
        return self[code]


_SIGNS = _Signs({0x1F: "\x1f"})
