"""The accepted region of a rule: one side, or an interval, read from and written as short text."""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from auditor.evidence import Value

__all__ = ["Accept", "Region", "parse_region"]

# Rates that are equal by arithmetic (0.24 / 0.3 and 0.8) differ by rounding.
_ROUNDING = 1e-12

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_ONE_SIDE = re.compile(rf"(>=|<=|==|>|<)\s*({_NUMBER})")
_INTERVAL = re.compile(rf"({_NUMBER})\s*\.\.\s*({_NUMBER})")
_VALID = "'>= 0.8', '> 0.8', '<= 0.1', '< 0.1', '== 0' or the closed interval '0.8 .. 1.25'"


class Region(Value):
    """The accepted values, from ``low`` to ``high``; ``None`` is no limit on that side.

    A limit belongs to the region unless it is open. Comparisons forgive the rounding of
    arithmetic (1e-12 of the limit), so that 0.24 / 0.3 is 0.8.

    >>> region = parse_region("0.8 .. 1.25")
    >>> region.holds(0.24 / 0.3), region.holds(1.3), str(region)
    (True, False, '0.8 .. 1.25')
    """

    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False

    def __str__(self) -> str:
        if self.low is None:
            return f"{'<' if self.high_open else '<='} {_number(self.high)}"
        if self.high is None:
            return f"{'>' if self.low_open else '>='} {_number(self.low)}"
        if self.low == self.high:
            return f"== {_number(self.low)}"
        return f"{_number(self.low)} .. {_number(self.high)}"

    @property
    def two_sided(self) -> bool:
        """Whether both sides are limited."""
        return self.low is not None and self.high is not None

    def reaches_low(self, bound: float) -> bool:
        """Whether nothing from ``bound`` upward lies below the region."""
        if self.low is None:
            return True
        near = _ROUNDING * max(1.0, abs(self.low))
        return bound > self.low + near if self.low_open else bound >= self.low - near

    def reaches_high(self, bound: float) -> bool:
        """Whether nothing from ``bound`` downward lies above the region."""
        if self.high is None:
            return True
        near = _ROUNDING * max(1.0, abs(self.high))
        return bound < self.high - near if self.high_open else bound <= self.high + near

    def holds(self, value: float) -> bool:
        """Whether a value is accepted."""
        return self.reaches_low(value) and self.reaches_high(value)

    def within(self, low: float | None, high: float | None) -> Region:
        """Drop the limits that a quantity between ``low`` and ``high`` cannot cross.

        >>> str(parse_region("0 .. 0.1").within(0.0, 1.0))
        '<= 0.1'
        """
        drop_low = self.low is not None and low is not None and self.reaches_low(low)
        drop_high = self.high is not None and high is not None and self.reaches_high(high)
        return Region(
            low=None if drop_low else self.low,
            high=None if drop_high else self.high,
            low_open=self.low_open and not drop_low,
            high_open=self.high_open and not drop_high,
        )


def parse_region(text: str) -> Region:
    """Read ``>= x``, ``> x``, ``<= x``, ``< x``, ``== x`` or the closed interval ``x .. y``.

    Raises :class:`ValueError` with what would be valid.

    >>> parse_region("<= 0.1").high
    0.1
    """
    text = text.strip()
    if match := _INTERVAL.fullmatch(text):
        low, high = _finite(match[1]), _finite(match[2])
        if low > high:
            raise ValueError(f"the interval is inverted; write '{match[2]} .. {match[1]}'")
        return Region(low=low, high=high)
    if not (match := _ONE_SIDE.fullmatch(text)):
        raise ValueError(f"{text!r} is no accepted region; valid: {_VALID}")
    sign, number = match[1], _finite(match[2])
    if sign == "==":
        return Region(low=number, high=number)
    if sign.startswith(">"):
        return Region(low=number, low_open=sign == ">")
    return Region(high=number, high_open=sign == "<")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large a number")
    return number + 0.0  # no negative zero


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _read(value: object) -> Region:
    if isinstance(value, Region):
        return value
    if not isinstance(value, str):
        raise ValueError(f"expected a text such as {_VALID}")
    return parse_region(value)


Accept = Annotated[
    Region,
    PlainValidator(_read),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": rf"^\s*((>=|<=|==|>|<)\s*{_NUMBER}|{_NUMBER}\s*\.\.\s*{_NUMBER})\s*$",
            "description": f"The accepted values: {_VALID}.",
        }
    ),
]
"""A :class:`Region` that is written as text."""
