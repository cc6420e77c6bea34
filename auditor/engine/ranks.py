"""An audit in a distributed training: one rank records, all of them meet, and none waits for long.

Every rank makes the same :class:`~auditor.engine.audit.Audit` and calls the same methods. Rank 0
records; the others' recordings go nowhere. What measures, judges or writes is a *sync point*: there
the ranks exchange what they saw, rank 0 measures and judges, and its result, or the exception of
whoever failed, is that of every rank. So all ranks stop at the same step, with the same reason.

A sync point is a row of exchanges, each a gathering on rank 0 and an answer to all. Every rank says
where it is; where they are at different places, because one of them failed in between, the answer
is an error for all, and they go to the end of the sync point, where the outcome is told.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from auditor.engine.following import Followed
from auditor.engine.recording import Recording
from auditor.errors import AuditorError, RankError

if TYPE_CHECKING:
    from auditor.evidence import Finding, Verdict
    from auditor.loop.world import World

__all__ = ["Given", "Ranks", "attempt"]

T = TypeVar("T")
R = TypeVar("R")

_Place = tuple[str | None, str]

_END = "the end"


@dataclass(frozen=True, slots=True)
class Given:
    """What a rank has to tell: a value, or the exception with which it failed."""

    value: Any = None
    error: Exception | None = None

    def told(self, rank: int) -> Given:
        """Return the same for other processes: exceptions that are not ours are told in words."""
        error = self.error
        if error is None or isinstance(error, AuditorError):
            return self
        return Given(error=RankError(f"rank {rank} failed: {type(error).__name__}: {error}"))


@dataclass(frozen=True, slots=True)
class _News:
    """What rank 0 recorded since the ranks met."""

    findings: Mapping[Any, list[Finding]]
    verdict: Verdict | None

    def tell(self, recording: Recording) -> None:
        recording.recorded().update(self.findings)
        recording.verdict = self.verdict


@dataclass(frozen=True, slots=True)
class _Answer:
    """What rank 0 says to all at the end of an exchange; ``more``: some are not at the end."""

    given: Given
    more: bool = True
    news: _News | None = None


_Heard = tuple[_Place, Given]


class Ranks:
    """The place of this process among the ranks of an audit, and their meetings.

    The rank is that of ``torch.distributed`` where it is initialised, and that of the variables
    ``RANK`` and ``WORLD_SIZE`` (as torchrun sets them) before. Where nothing is distributed there
    is one rank, and meetings are plain calls.
    """

    def __init__(self) -> None:
        self.rank, self.size = _stated()
        self.place: str | None = None
        self.alone = False
        self._sent: dict[Any, Any] = {}

    @property
    def leads(self) -> bool:
        """Whether this is the rank that records."""
        return self.rank == 0

    @property
    def gone(self) -> bool:
        """Whether the process group of a distributed training is there no more."""
        return self.size > 1 and _initialised() is None

    def recording(self, run: str | Path | None, **options: Any) -> Recording:
        """Return the recording of this rank: a real one, or one that goes nowhere."""
        return Recording(run, **options) if self.leads else Followed(run, **options)

    def world(self) -> World:
        """Return the world; raises :class:`RankError` where it is not what it was at the making."""
        found = _initialised() or (0, 1)
        if found != (self.rank, self.size):
            made = f"the audit was made as rank {self.rank} of {self.size}"
            if self.size == 1:
                now = f"this is rank {found[0]} of {found[1]} now"
            elif found == (0, 1):
                now = "no process group is initialised"
            else:
                now = f"the process group says rank {found[0]} of {found[1]}"
            raise RankError(
                f"{made}, and {now}",
                valid="torch.distributed.init_process_group before Audit(…), or RANK and "
                "WORLD_SIZE in the environment, as torchrun sets them",
            )
        if self.size == 1:
            return _ALONE
        from auditor.loop.world import World

        return World.current()

    # -- meetings -------------------------------------------------------------------------------

    def meet(
        self, what: str, own: Callable[[], T], lead: Callable[[list[T]], R], *, tell: bool = False
    ) -> R | None:
        """Do ``own`` on every rank and, on rank 0, ``lead`` with what all of them gave.

        The others get ``None``, or, where rank 0 is to ``tell``, the same. Raises on every rank
        what was raised on any.
        """
        if self.alone:
            return lead([own()])
        world = self.world()
        if world.size == 1:
            return lead([own()])
        given = attempt(own)
        result = Given()

        def answer(heard: Sequence[_Heard]) -> _Answer:
            nonlocal result
            failure = _failure(heard)
            if failure.error is not None:
                return _Answer(failure)
            result = attempt(lambda: lead([part.value for _, part in heard]))
            return _Answer((result if tell else Given(error=result.error)).told(0))

        reply = self._exchange(world, what, given, answer)
        # Where this rank itself failed, its own exception has the traceback.
        for part in (given, result, reply.given):
            _value(part)
        return result.value if self.leads else reply.given.value

    def conclude(self, given: Given, recording: Recording) -> Any:
        """End a sync point: return or raise, on every rank, what rank 0 gave or raised."""
        world = self.world()

        def answer(heard: Sequence[_Heard]) -> _Answer:
            failure = _failure(heard)
            if any(what != _END for (_, what), _ in heard):
                return _Answer(failure)
            if failure.error is not None:
                return _Answer(failure, more=False, news=self._news(recording))
            return _Answer(given, more=False, news=self._news(recording))

        while True:
            reply = self._exchange(world, _END, given, answer)
            if not reply.more:
                break
        if not self.leads and reply.news is not None:
            reply.news.tell(recording)
        _value(given if given.error is not None else reply.given)
        return given.value if self.leads else reply.given.value

    def _exchange(
        self, world: World, what: str, given: Given, answer: Callable[[Sequence[_Heard]], _Answer]
    ) -> _Answer:
        """Tell rank 0 what there is and where this rank is; return its answer."""
        place = (self.place, what)
        heard = world.gather(_packed((place, given.told(self.rank)), place), place=_words(place))
        reply = None
        if heard is not None:
            made = answer([pickle.loads(part) for part in heard])
            reply = pickle.dumps(_Answer(Given(error=_unsendable(place)), more=made.more))
            with suppress(Exception):  # of a value of somebody else that cannot be pickled
                reply = pickle.dumps(made)
        return pickle.loads(world.broadcast(reply, place=_words(place)))

    def _news(self, recording: Recording) -> _News:
        known, found = self._sent, recording.recorded()
        self._sent = dict(found)
        changed = {key: value for key, value in found.items() if known.get(key) is not value}
        return _News(changed, recording.verdict)

    @contextmanager
    def at(self, place: str, *, alone: bool = False) -> Generator[None]:
        """Be at a sync point; ``alone`` while rank 0 does what it does without the others."""
        before = self.place, self.alone
        self.place, self.alone = place, alone
        try:
            yield
        finally:
            self.place, self.alone = before


@dataclass(frozen=True, slots=True)
class _Alone:
    """The world of one process, without a look at torch."""

    rank: int = 0
    size: int = 1
    leads: bool = True


_ALONE: Any = _Alone()


def attempt(work: Callable[[], Any]) -> Given:
    """Return what some work gives, or the exception with which it fails.

    Where a rank is lost the exception is raised: there is nobody to tell.
    """
    try:
        return Given(work())
    except Exception as error:
        if isinstance(error, RankError) and error.lost:
            raise
        return Given(error=error)


def _value(given: Given) -> Any:
    if given.error is not None:
        raise given.error
    return given.value


def _packed(told: _Heard, place: _Place) -> bytes:
    """Return what a rank tells, or, where that cannot be pickled, that it cannot."""
    with suppress(Exception):  # of a value of somebody else
        return pickle.dumps(told)
    return pickle.dumps((told[0], Given(error=_unsendable(place))))


def _unsendable(place: _Place) -> RankError:
    return RankError(f"what {_words(place)} gives cannot be sent to other ranks")


def _failure(heard: Sequence[_Heard]) -> Given:
    """Return what is wrong with a meeting: a rank that failed, or is elsewhere."""
    failed = [part for _, part in heard if part.error is not None]
    if failed:
        return failed[0]
    places = [_words(place) for place, _ in heard]
    if len(set(places)) == 1:
        return Given()
    where = "; ".join(f"rank {rank} at {place}" for rank, place in enumerate(places))
    return Given(error=RankError(
        f"the ranks are at different places: {where}",
        valid="every rank to call the same methods in the same order",
    ))  # fmt: skip


def _words(place: _Place) -> str:
    return " of ".join(filter(None, (place[1], place[0])))


def _stated() -> tuple[int, int]:
    """Return rank and size by the process group, or by the environment."""
    found = _initialised()
    if found is not None:
        return found
    try:
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    except (KeyError, ValueError):
        return 0, 1
    return (rank, size) if 0 <= rank < size else (0, 1)


def _initialised() -> tuple[int, int] | None:
    """Return rank and size of ``torch.distributed``, if it is loaded and initialised."""
    dist: Any = sys.modules.get("torch.distributed")
    if dist is None or not dist.is_available() or not dist.is_initialized():
        return None
    return dist.get_rank(), dist.get_world_size()
