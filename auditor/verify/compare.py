"""Whether two JSON documents say the same, numbers up to the last bits of another machine."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["first_difference"]

_RELATIVE, _ABSOLUTE = 1e-9, 1e-12


def first_difference(ours: Any, theirs: Any, path: str = "") -> str | None:
    """Return where two documents differ first, in words, or ``None``.

    Numbers may differ by 1e-9 of their size: another processor rounds a logarithm differently.

    >>> first_difference({"a": [1.0]}, {"a": [1.0 + 1e-15]})
    >>> first_difference({"a": 1}, {"a": 2})
    'a: recorded 1, computed again 2'
    """
    if _number(ours) and _number(theirs):
        if math.isclose(ours, theirs, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE):
            return None
    elif isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            place = f"{path}.{key}" if path else str(key)
            if key not in ours:
                return f"{place}: not recorded, computed again {theirs[key]!r}"
            if key not in theirs:
                return f"{place}: recorded {ours[key]!r}, not computed again"
            found = first_difference(ours[key], theirs[key], place)
            if found:
                return found
        return None
    elif isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            return f"{path}: recorded {len(ours)}, computed again {len(theirs)}"
        for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            found = first_difference(a, b, f"{path}[{index}]")
            if found:
                return found
        return None
    elif ours == theirs and isinstance(ours, bool) == isinstance(theirs, bool):
        return None
    return f"{path}: recorded {ours!r}, computed again {theirs!r}"


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
