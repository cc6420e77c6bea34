"""The exception tree.

Every error that a user can cause says three things: what was wrong, where, and what would be
valid. The command line prints it as one line and exits with 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "AuditorError",
    "CheckpointError",
    "GateClosed",
    "InputError",
    "MissingExtraError",
    "PolicyError",
    "RankError",
    "RunError",
    "nearest",
]


class AuditorError(Exception):
    """The root of every error raised on purpose by this package."""


class InputError(AuditorError):
    """A table, a file, an option or an argument that cannot be used.

    Parameters
    ----------
    what:
        What was wrong, as a sentence without a full stop.
    where:
        The file, table, column, line or option.
    valid:
        What would have been accepted.
    """

    def __init__(self, what: str, *, where: str | None = None, valid: str | None = None) -> None:
        self.what, self.where, self.valid = what, where, valid
        text = f"{where}: {what}" if where else what
        super().__init__(one_line(f"{text}; {valid}" if valid else text))


class PolicyError(InputError):
    """A policy file that cannot be read; ``where`` is ``file:line:column``."""


class RunError(InputError):
    """A run folder that is missing, locked, interrupted or not a run at all."""


class CheckpointError(InputError):
    """A checkpoint that must not be used: no manifest, quarantined, altered, or by another key."""


class RankError(InputError):
    """The ranks of a distributed training do not meet, or one of them failed where they do.

    ``lost`` says that one did not come at all, so that nothing can be told to it.
    """

    lost = False


class MissingExtraError(InputError):
    """An optional library is needed; the message names what to install."""


class GateClosed(AuditorError):  # noqa: N818 -- a signal to the loop, named in the public interface
    """The policy said stop; ``verdict`` holds the rules that closed the gate.

    ``decision`` says what became of the checkpoint, where one was to be promoted.
    """

    def __init__(
        self, message: str, verdict: object | None = None, *, decision: object | None = None
    ) -> None:
        super().__init__(message)
        self.verdict = verdict
        self.decision = decision


def one_line(text: str, *, limit: int = 600) -> str:
    """Make ``text`` printable as one line: control characters escaped, long text cut."""
    clean = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def nearest(word: str, valid: Iterable[str]) -> str:
    """Give ``did you mean 'x'?``, or the list of valid words where nothing is near.

    >>> nearest("selection_rat", ["selection_rate", "precision"])
    "did you mean 'selection_rate'?"
    >>> nearest("zzz", ["a", "b"])
    'valid: a, b'
    """
    words = list(valid)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    if not words:
        return "there is none"
    shown = ", ".join(words[:20]) + (", …" if len(words) > 20 else "")
    return f"valid: {shown}"
