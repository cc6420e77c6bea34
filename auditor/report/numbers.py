"""Numbers as a reader sees them: as many digits as the interval supports, and not one more."""

from __future__ import annotations

import math
from collections.abc import Iterable

__all__ = [
    "MINUS",
    "count_text",
    "decimals_for",
    "interval_text",
    "number_text",
    "percent_text",
    "size_text",
]

MINUS = "\N{MINUS SIGN}"

_MOST_DECIMALS = 6
_HUGE = 1e15


def decimals_for(widths: Iterable[float | None], *, least: int = 2) -> int:
    """Return the decimals at which the width of the narrower intervals shows two digits.

    ``widths`` are the widths of the intervals of one column, of which the lower quartile counts:
    many tiny groups should not blur the large ones. Without any, three.

    >>> decimals_for([0.046, 0.031, 0.2]), decimals_for([0.0021]), decimals_for([])
    (3, 4, 3)
    """
    known = sorted(width for width in widths if width is not None and 0 < width < math.inf)
    if not known:
        return max(3, least)
    wanted = math.ceil(-math.log10(known[len(known) // 4])) + 1
    return min(max(wanted, least), _MOST_DECIMALS)


def number_text(value: float | None, decimals: int) -> str:
    """Return a number with a true minus sign; a rounded nothing has no sign.

    >>> number_text(-0.2139, 3), number_text(-0.0001, 3), number_text(12345.6, 0)
    ('−0.214', '0.000', '12,346')
    """
    if value is None:
        return "—"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if value and not 10 ** -(_MOST_DECIMALS + 1) <= abs(value) < _HUGE:
        return f"{value:.1e}".replace("-", MINUS)
    text = f"{value:,.{decimals}f}"
    if text.startswith("-"):
        text = text[1:] if not text.strip("-0.,") else MINUS + text[1:]
    return text


def interval_text(low: float | None, high: float | None, decimals: int) -> str:
    """Return an interval; a side without a finite bound is open.

    >>> interval_text(0.4256, 0.4716, 3), interval_text(0.5, None, 2)
    ('[0.426, 0.472]', '[0.50, ∞)')
    """
    left = f"({MINUS}∞" if low is None else f"[{number_text(low, decimals)}"
    right = "∞)" if high is None else f"{number_text(high, decimals)}]"
    return f"{left}, {right}"


def percent_text(value: float, *, decimals: int = 1) -> str:
    """Return a share as a percentage.

    >>> percent_text(0.4485).split()
    ['44.9', '%']
    """
    return f"{number_text(100 * value, decimals)}\N{NO-BREAK SPACE}%"


def count_text(n: float | None) -> str:
    """Return a number of records.

    >>> count_text(45222), count_text(None)
    ('45,222', '—')
    """
    return "—" if n is None else f"{n:,.0f}"


def size_text(n: float) -> str:
    """Return a number of bytes in the units that people use.

    >>> size_text(512), size_text(367_065), size_text(17_179_869_184)
    ('512 B', '358.5 KiB', '16.0 GiB')
    """
    if n < 1024:
        return f"{n:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        n /= 1024
        if n < 1024:
            return f"{n:.1f} {unit}"
    return f"{n / 1024:.1f} TiB"
