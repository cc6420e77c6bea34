"""Plain text files as tables: one text a line, in the column ``text``."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LINES_COLUMN", "read_lines"]

LINES_COLUMN = "text"
"""The only column of such a table."""

_BLOCK = 16 << 20


def read_lines(files: Sequence[tuple[Path, str | None]]) -> pa.Table:
    """Read files (path, compression) as one column of text, one row a line, in order.

    A line ends with a line feed, or a carriage return and a line feed; everything else in it is
    text, quotes and commas too. An empty line is a row whose text is missing. The texts are held
    in memory, for DuckDB's reader of CSV takes other characters for ends of lines as well. Raises
    :class:`InputError` where a file cannot be read or is not UTF-8.
    """
    import pyarrow as pa

    chunks = [
        pa.array(lines, pa.large_string())
        for path, compression in files
        for lines in _lines(path, compression)
    ]
    return pa.table({LINES_COLUMN: pa.chunked_array(chunks, pa.large_string())})


def _lines(path: Path, compression: str | None) -> Iterator[list[str | None]]:
    """Yield the lines of a file, a block at a time; an empty one is ``None``."""
    import pyarrow as pa

    decoder, rest, read = codecs.getincrementaldecoder("utf-8-sig")(), "", 0
    try:
        with pa.input_stream(str(path), compression=compression) as stream:
            while block := stream.read(_BLOCK):
                *whole, rest = (rest + decoder.decode(block)).split("\n")
                read += len(whole)
                yield [line.removesuffix("\r") or None for line in whole]
        rest += decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        what = f"the text after line {read:,} is not all UTF-8" if read else "not UTF-8"
        raise InputError(what, where=str(path), valid="text in UTF-8, one a line") from None
    except (OSError, pa.ArrowException) as error:
        what = f"the file cannot be read ({str(error).splitlines()[0]})"
        raise InputError(what, where=str(path), valid="text in UTF-8, one a line") from None
    if rest:
        yield [rest.removesuffix("\r") or None]
