"""What may close a gate, done inside of somebody else's training: it never breaks it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from auditor.errors import AuditorError, GateClosed
from auditor.loop.world import World

__all__ = ["gated"]

_log = logging.getLogger("auditor")


def gated(act: Callable[[], Any]) -> tuple[Any, GateClosed | None]:
    """Return what a look or a promotion gave, and, on every rank, what ends the training.

    What goes wrong besides is logged. A collective: every rank must come.
    """
    found: Any = None
    closed: GateClosed | None = None
    try:
        found = act()
    except GateClosed as error:
        closed = error
    except AuditorError as error:
        _log.warning("no look at this point of the training: %s", error)
    except Exception as error:  # noqa: BLE001 -- the audit must never break the training
        _log.warning("no look at this point: %s: %s", type(error).__name__, error)
    reason = World.current().broadcast(None if closed is None else str(closed))
    if reason is not None:
        _log.warning("%s", reason)
        closed = closed or GateClosed(reason)
    return found, closed
