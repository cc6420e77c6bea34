"""A file as pieces that a second thread reads, so that the next one comes while one is hashed.

Both reading and hashing let go of the interpreter's lock: on two cores a file that the disk gives
slower than it is hashed costs what reading it costs, and no more. Memory is bounded: the pieces
rotate through a few buffers.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread

__all__ = ["pieces_of"]

_PIECE = 1 << 20
_BUFFERS = 4


@contextmanager
def pieces_of(descriptor: int) -> Generator[Iterator[memoryview]]:
    """Give an iterator over what is left of an open file, in pieces of 1 MiB at most.

    A piece is valid until the next one is asked for. Leaving the context ends the thread, also
    where pieces are left. Raises :class:`OSError` at the piece that cannot be read.

    >>> import tempfile
    >>> with tempfile.TemporaryFile() as file:
    ...     file.write(b"a" * 5)
    ...     file.seek(0)
    ...     with pieces_of(file.fileno()) as pieces:
    ...         [bytes(piece) for piece in pieces]
    5
    0
    [b'aaaaa']
    """
    free: SimpleQueue[memoryview | None] = SimpleQueue()
    read: SimpleQueue[tuple[memoryview, int] | OSError] = SimpleQueue()
    for _ in range(_BUFFERS):
        free.put(memoryview(bytearray(_PIECE)))
    thread = Thread(target=_read_all, args=(descriptor, free, read), daemon=True)
    thread.start()
    try:
        yield _taken(free, read)
    finally:
        free.put(None)  # behind at most the buffers themselves: the thread reads no further
        thread.join()


def _read_all(
    descriptor: int,
    free: SimpleQueue[memoryview | None],
    read: SimpleQueue[tuple[memoryview, int] | OSError],
) -> None:
    """Fill buffers until the end of the file, whose mark is a piece of 0 bytes."""
    try:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        while (buffer := free.get()) is not None:
            size = os.readv(descriptor, [buffer])
            read.put((buffer, size))
            if not size:
                return
    except OSError as error:
        read.put(error)


def _taken(
    free: SimpleQueue[memoryview | None],
    read: SimpleQueue[tuple[memoryview, int] | OSError],
) -> Iterator[memoryview]:
    while True:
        found = read.get()
        if isinstance(found, OSError):
            raise found
        buffer, size = found
        if not size:
            return
        yield buffer[:size]
        free.put(buffer)
