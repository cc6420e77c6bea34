"""The recorder of steps: fed in the loop, committed to at a sync point.

What it gives are segments of consecutive steps: which records each step consumed
(:mod:`auditor.ledger.step_segment`), and what it computed (:mod:`auditor.ledger.trace`).
"""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.evidence import sha256
from auditor.ledger.commitments import RecordCommitments
from auditor.ledger.sorted_tree import WIDTH
from auditor.ledger.step_segment import STEPS_METHOD, UNKNOWN, StepSegment, steps_file
from auditor.ledger.trace import CHAIN_METHOD, make_trace, trace_file
from auditor.ledger.tree import fold_hashes

__all__ = ["FlushedSteps", "StepRecorder", "last_step"]


@dataclass(frozen=True, slots=True)
class FlushedSteps:
    """A segment to be written: the files by name, and the body of the ledger's ``steps`` entry."""

    body: dict[str, Any]
    files: Mapping[str, bytes]


class StepRecorder:
    """Keeps the records of each step in host memory until a sync point.

    In the loop: :meth:`record` for each step (or :meth:`add` for each batch, and :meth:`step` after
    the optimizer's step). They copy a few numbers and hash nothing. At a sync point (a look, a
    checkpoint, the end), or when :attr:`pending` grows large: :meth:`flush`.

    Parameters
    ----------
    records:
        The commitments of the split that is trained on.
    first:
        The number of the first step; a training that resumes goes on counting.
    chain:
        What the first link follows: :func:`auditor.ledger.trace.chain_start` of entry 0. Without
        it no trace is kept, as in runs of older versions.
    taken:
        The first steps of the segments that the run holds already, whatever became of them: files
        of the same first step are told apart.
    """

    def __init__(
        self,
        records: RecordCommitments,
        *,
        first: int = 1,
        chain: bytes | None = None,
        taken: Iterable[int] = (),
    ) -> None:
        self._records = records
        self._next = first
        self._chain = chain
        self._taken = Counter(taken)
        self._batches: list[NDArray[np.uint32]] = []
        self._sizes: list[int] = []
        self._losses: list[float] = []
        self._random: list[bytes] = []
        self._content: list[bytes] = []
        self._checkpoints: list[tuple[int, bytes]] = []
        self._size = 0
        self._total = 0

    @property
    def pending(self) -> int:
        """The number of records in memory; each takes four bytes."""
        return self._total

    @property
    def last(self) -> int:
        """The number of the last step that ended; one less than the first where none did."""
        return self._next + len(self._sizes) - 1

    @property
    def chain(self) -> bytes | None:
        """The chain after the last step that was flushed, 32 bytes; ``None`` without a trace."""
        return self._chain

    def record(
        self,
        rows: ArrayLike,
        *,
        loss: float = math.nan,
        random_state: bytes = b"",
        content: bytes = b"",
    ) -> None:
        """Record one whole step.

        Parameters
        ----------
        rows:
            The rows of its records in the registered table, shape ``[records]`` (int64); a negative
            one is not of the table.
        loss:
            The loss that was stepped on; NaN where it is not known.
        random_state:
            The digest of the random state before the step, 32 bytes; nothing where none was taken.
        content:
            The digest of the records that are known by their content alone, 32 bytes.

        Raises :class:`InputError` for a row beyond the table, and for a digest of another length.
        """
        for digest in (random_state, content):
            if len(digest) not in (0, WIDTH):
                raise InputError(f"a digest of {len(digest)} bytes", valid=f"{WIDTH}, or none")
        self.add(rows)
        self._sizes.append(self._size)
        self._losses.append(loss)
        self._random.append(random_state)
        self._content.append(content)
        self._size = 0

    def add(self, rows: ArrayLike) -> None:
        """Take the rows of a batch of a step that has not ended; see :meth:`record`."""
        given = np.asarray(rows, np.int64).reshape(-1)
        places = self._records.places
        try:
            found = places[given]  # a copy
        except IndexError:
            self._refuse_beyond(given)
            found = np.full(len(given), UNKNOWN, np.uint32)
            found[given >= 0] = places[given[given >= 0]]
        else:
            if len(given) and given.min() < 0:
                found[given < 0] = UNKNOWN
        self._batches.append(found)
        self._size += len(found)
        self._total += len(found)

    def step(self) -> None:
        """End a step: what was added since the last one is what it consumed."""
        self.record(())

    def checkpoint(self, digest: bytes) -> None:
        """Bind a checkpoint, by its digest of 32 bytes, between the last step and the next one.

        Raises :class:`InputError` for a digest of another length. Without a chain it is left out.
        """
        if len(digest) != WIDTH:
            raise InputError(f"a digest of {len(digest)} bytes", valid=str(WIDTH))
        if self._chain is not None:
            self._checkpoints.append((len(self._sizes), digest))

    def flush(self, write: Callable[[FlushedSteps], object] | None = None) -> FlushedSteps | None:
        """Return what is to be written of the steps since the last time; begin a new segment.

        ``None`` where no step ended and no checkpoint was bound. Records of a step that has not
        ended stay for the next segment. What ``write`` raises is raised, and everything stays.
        """
        if not self._sizes and not self._checkpoints:
            return None
        consumed = np.concatenate([np.zeros(0, np.uint32), *self._batches])
        offsets = np.concatenate([[0], np.cumsum(self._sizes)]).astype(np.uint64)
        ended = int(offsets[-1])
        segment = StepSegment(self._next, offsets, consumed[:ended])
        hashes = segment.hashes(self._records.leaves)
        again = self._taken[segment.first] + 1
        data = segment.data()
        name = steps_file(self._records.split, segment.first, again=again)
        body = {
            "split": self._records.split,
            "first": segment.first,
            "last": segment.first + len(segment) - 1,
            "count": len(segment),
            "records": ended,
            "unknown": int((segment.positions == UNKNOWN).sum()),
            "root": f"sha256:{fold_hashes(hashes).hex()}",
            "method": STEPS_METHOD,
            "file": name,
            "digest": sha256(data),
        }
        files = {name: data}
        before = after = self._chain
        if before is not None:
            trace, after = make_trace(
                segment.first, before, hashes, losses=self._losses, random=self._random,
                content=self._content, checkpoints=self._checkpoints,
            )  # fmt: skip
            traced = trace_file(self._records.split, segment.first, again=again)
            files[traced] = trace.data()
            body |= {
                "trace": traced,
                "trace_digest": sha256(files[traced]),
                "checkpoints": len(trace.checkpoints),
                "chain_before": f"sha256:{before.hex()}",
                "chain": f"sha256:{after.hex()}",
                "chain_method": CHAIN_METHOD,
            }
        flushed = FlushedSteps(body, files)
        if write is not None:
            write(flushed)
        self._taken[segment.first] = again
        self._chain = after
        self._next += len(segment)
        self._keep(consumed[ended:])
        return flushed

    def state_dict(self) -> dict[str, Any]:
        """Return what was recorded and not flushed, the number of the next step, and the chain.

        Numbers and text alone, so that any kind of checkpoint can carry it. A step that has not
        ended is left out: a training that resumes takes it again.
        """
        ended = sum(self._sizes)
        consumed = np.concatenate([np.zeros(0, np.uint32), *self._batches])[:ended]
        return {
            "first": self._next,
            "chain": None if self._chain is None else self._chain.hex(),
            "sizes": list(self._sizes),
            "positions": _text(consumed.astype("<u4").tobytes()),
            "losses": _text(np.array(self._losses, "<f8").tobytes()),
            "random": [digest.hex() for digest in self._random],
            "content": [digest.hex() for digest in self._content],
            "checkpoints": [[after, digest.hex()] for after, digest in self._checkpoints],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up the state of a recorder over the same commitments, in place of what is here.

        Raises :class:`InputError` for a state that is none, or that names records that are not.
        """
        try:
            first, sizes = int(state["first"]), [int(size) for size in state["sizes"]]
            chain = None if state["chain"] is None else bytes.fromhex(state["chain"])
            positions = np.frombuffer(base64.b64decode(state["positions"]), "<u4")
            losses = np.frombuffer(base64.b64decode(state["losses"]), "<f8").tolist()
            random, content = (
                [bytes.fromhex(text) for text in state[name]] for name in ("random", "content")
            )
            checkpoints = [(int(at), bytes.fromhex(text)) for at, text in state["checkpoints"]]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not the state of recorded steps ({error!r})") from None
        whole = len(sizes) == len(losses) == len(random) == len(content)
        known = positions[positions != UNKNOWN]
        if not whole or sum(sizes) != len(positions) or (known >= len(self._records.leaves)).any():
            raise InputError("the state is not that of steps over these records")
        self._next, self._chain = first, chain
        self._keep(positions.astype(np.uint32))
        self._sizes, self._losses, self._random, self._content = sizes, losses, random, content
        self._checkpoints, self._size = checkpoints, 0

    def _keep(self, positions: NDArray[np.uint32]) -> None:
        """Begin again with these positions, of steps that have not ended."""
        self._batches = [positions] if len(positions) else []
        self._sizes, self._losses, self._random, self._content = [], [], [], []
        self._checkpoints = []
        self._total = len(positions)

    def _refuse_beyond(self, rows: NDArray[np.int64]) -> None:
        places = self._records.places
        if int(rows.max()) >= len(places):
            raise InputError(
                f"row {int(rows.max()):,} is beyond the table of {self._records.split}=",
                valid=f"rows below {len(places):,}",
            )


def last_step(state: Mapping[str, Any]) -> int:
    """Return the number of the last step in a state of :meth:`StepRecorder.state_dict`."""
    return int(state["first"]) + len(state["sizes"]) - 1


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
