"""What lies at a path where a run could be, or is."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path

from auditor.evidence import Value
from auditor.ledger.layout import FINDINGS, HEAD, KEY, LEDGER, POLICY, RUN_JSON
from auditor.ledger.locks import holder_of
from auditor.ledger.stored import read_ledger

__all__ = ["PathState", "StateKind", "state_of"]

_OF_A_RUN = (RUN_JSON, POLICY, KEY, HEAD, FINDINGS)


class StateKind(StrEnum):
    """What a path is, seen by somebody who wants to put a run there."""

    FREE = "free"
    FINISHED = "a finished run"
    INTERRUPTED = "an interrupted run"
    LOCKED = "a run that is being written"
    OTHER = "something else"


class PathState(Value):
    """The kind, one sentence about it, and the number of whole entries where there is a ledger."""

    kind: StateKind
    detail: str
    entries: int = 0


def state_of(path: Path) -> PathState:
    """Look at ``path`` without changing anything; raises :class:`OSError` for no permission."""
    if not os.path.lexists(path):
        return PathState(kind=StateKind.FREE, detail="nothing is there")
    if not path.is_dir():
        what = "a link that leads nowhere" if path.is_symlink() and not path.exists() else "a file"
        return PathState(kind=StateKind.OTHER, detail=f"this is {what}, not a folder")
    if not os.listdir(path):
        return PathState(kind=StateKind.FREE, detail="an empty folder")
    if not (path / LEDGER).is_file():
        if any(os.path.lexists(path / name) for name in _OF_A_RUN):
            return PathState(kind=StateKind.OTHER, detail="the folder holds a run without a ledger")
        return PathState(kind=StateKind.OTHER, detail="the folder is not empty, and not a run")
    return _state_of_run(path)


def _state_of_run(path: Path) -> PathState:
    holder = holder_of(path / LEDGER)
    if holder != "nobody":
        return PathState(kind=StateKind.LOCKED, detail=f"the run is being written by {holder}")
    ledger, _ = read_ledger(path / LEDGER)
    entries = len(ledger.lines)
    if ledger.seal and not ledger.torn and (path / HEAD).is_file():
        return PathState(kind=StateKind.FINISHED, detail="a finished run", entries=entries)
    return PathState(
        kind=StateKind.INTERRUPTED,
        detail=f"an interrupted run, {entries} entries",
        entries=entries,
    )
