"""Whether two JSON documents say the same, numbers up to the last bits of another machine."""

from __future__ import annotations

import math
from typing import Any, TypeGuard

__all__ = ["first_difference"]

_RELATIVE, _ABSOLUTE = 1e-9, 1e-12


def first_difference(ours: Any, theirs: Any, path: str = "") -> str | None:
    """Return where two documents differ first, in words, or ``None``.

    Numbers may differ by 1e-9 of their size: another processor rounds a logarithm differently.

    >>> first_difference({"a": [1.0]}, {"a": [1.0 + 1e-15]})
    >>> first_difference({"a": 1}, {"a": 2})
    'a: recorded 1, computed again 2'
    """
    found = _difference(ours, theirs)
    if found is None:
        return None
    *steps, what = found
    return f"{(path + ''.join(reversed(steps))).removeprefix('.')}: {what}"


def _difference(ours: Any, theirs: Any) -> list[str] | None:
    """Return what differs and the steps to it, the outermost last."""
    kind = type(ours)
    if kind is type(theirs) and kind in (str, int, bool, float, type(None)) and ours == theirs:
        return None
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            if key not in ours:
                found = [f"not recorded, computed again {theirs[key]!r}"]
            elif key not in theirs:
                found = [f"recorded {ours[key]!r}, not computed again"]
            else:
                found = _difference(ours[key], theirs[key])
            if found:
                what = found.pop()
                return [*found, f".{key}", what]
        return None
    if isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            return [f"recorded {len(ours)}, computed again {len(theirs)}"]
        for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            found = _difference(a, b)
            if found:
                what = found.pop()
                return [*found, f"[{index}]", what]
        return None
    close = _number(ours) and _number(theirs) and math.isclose(
        ours, theirs, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE
    )  # fmt: skip
    return None if close else [f"recorded {ours!r}, computed again {theirs!r}"]


def _number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
