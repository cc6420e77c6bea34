"""Which methods of an audit are sync points, where all ranks of a training meet."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from auditor.engine.ranks import Ranks, attempt
from auditor.errors import RankError

__all__ = ["meeting_all_ranks"]

C = TypeVar("C", bound=type[Any])

_LED = ("gate", "report", "remarks", "checkpoint", "explain", "dynamics")
_SHARED = ("validate", "look", "compare")


def meeting_all_ranks(cls: C) -> C:
    """Make the methods of an audit that measure, judge or write sync points (a class decorator).

    ``validate`` and ``look``, and ``evaluate`` of a torch module, run on every rank and exchange
    inside; the others rank 0 does alone, after what every rank saw was brought together.
    """
    audit: Any = cls
    for names, made in ((_SHARED, _shared), (_LED, _led)):
        for name in names:
            if hasattr(audit, name):
                setattr(audit, name, made(getattr(audit, name)))
    plain = audit.evaluate
    together, led = _shared(plain), _led(plain)

    @wraps(plain)
    def evaluate(self: Any, model: Any = None, *args: Any, **options: Any) -> Any:
        kind = together if hasattr(model, "parameters") else led
        return kind(self, model, *args, **options)

    audit.evaluate = evaluate
    audit.close = _closing(audit.close)
    return cls


def _shared(method: Callable[..., Any]) -> Callable[..., Any]:
    """Run a method on every rank; what rank 0 gives or raises is what all give or raise."""

    @wraps(method)
    def shared(self: Any, *args: Any, **options: Any) -> Any:
        ranks: Ranks = self._ranks
        if ranks.place is not None or ranks.world().size == 1:
            return method(self, *args, **options)
        with ranks.at(method.__name__):
            given = attempt(lambda: method(self, *args, **options))
            return ranks.conclude(given, self._recording)

    return shared


def _led(method: Callable[..., Any]) -> Callable[..., Any]:
    """Run a method on rank 0, after the ranks met; all of them give or raise what it does."""

    @wraps(method)
    def led(self: Any, *args: Any, **options: Any) -> Any:
        ranks: Ranks = self._ranks
        if ranks.place is not None or ranks.world().size == 1:
            return method(self, *args, **options)
        with ranks.at(method.__name__):
            given = attempt(self._flush)
            if ranks.leads and given.error is None:
                with ranks.at(method.__name__, alone=True):
                    given = attempt(lambda: method(self, *args, **options))
            return ranks.conclude(given, self._recording)

    return led


def _closing(method: Callable[..., Any]) -> Callable[..., Any]:
    """Close on all ranks; a run is never left open because another rank does not come."""
    together = _led(method)

    @wraps(method)
    def close(self: Any) -> None:
        ranks, recording = self._ranks, self._recording
        if recording.closed or ranks.place is not None:
            return method(self)
        self.detach()
        if ranks.gone:
            # What the others saw since the last sync point is lost; the run says so.
            if ranks.leads:
                recording.note("ranks", {"size": ranks.size, "met": False})
                with ranks.at("close", alone=True):
                    if self._training is not None:
                        self._training.forget_steps()
                    method(self)
            recording.seal()
            return None
        try:
            together(self)
        except RankError as error:
            recording.interrupt(f"{type(error).__name__}: {error}")
            raise
        if not ranks.leads:
            recording.seal()
        return None

    return close
