"""Charts as SVG text: pure functions of numbers, styled by the page that holds them.

Colours, widths and fonts come from classes, so that the same chart works on paper and in the dark.
A mark in a row of a table (``interval_mark``, ``bar_mark``) repeats the numbers of its row and is
hidden from screen readers; a chart that stands alone has a title and a description.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from auditor.policy import Region
from auditor.report.axes import Axis

__all__ = [
    "Line",
    "Svg",
    "axis_backdrop",
    "axis_labels",
    "bar_mark",
    "interval_mark",
    "line_chart",
    "status_bar",
]

WIDTH, HEIGHT, EDGE = 120.0, 32.0, 6.0
"""The box of a mark in a row, and the space left at both ends for dots and arrows."""

_MIDDLE = HEIGHT / 2
_BAR_HEIGHT = 14.0


class Svg(str):
    """Markup that is finished: templates put it in as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a line chart: its name, and the points as (x, value, low, high)."""

    name: str
    points: tuple[tuple[float, float, float | None, float | None], ...]


def interval_mark(
    axis: Axis,
    value: float,
    low: float | None,
    high: float | None,
    *,
    backdrop: str | None = None,
    outer: tuple[float | None, float | None] | None = None,
    hollow: bool = False,
) -> Svg:
    """Draw a value as a dot on its interval.

    Parameters
    ----------
    low, high:
        The interval; ``None`` is a side without a finite bound. What leaves the axis ends in an
        arrow.
    backdrop:
        The id under which :func:`axis_backdrop` of this axis was placed in the page.
    outer:
        A wider interval, drawn thin (bounds that hold for a whole family).
    hollow:
        Draw the dot as a ring: the interval holds the value of no difference.
    """
    parts = [f'<use href="#{backdrop}"/>'] if backdrop else []
    if outer is not None:
        parts.append(_whisker(axis, *outer, css="outer"))
    parts.append(_whisker(axis, low, high, css="ci"))
    x = _x(axis, value)
    if axis.outside(value):
        way = 1 if value > axis.high else -1
        parts.append(f'<path class="dot" d="M{_n(x + 3 * way)} 16l{-6 * way}-4.5v9z"/>')
    else:
        css = "ring" if hollow else "dot"
        parts.append(f'<circle class="{css}" cx="{_n(x)}" cy="16" r="3.7"/>')
    return _row("".join(parts))


def bar_mark(
    axis: Axis,
    value: float,
    low: float | None = None,
    high: float | None = None,
    *,
    backdrop: str | None = None,
) -> Svg:
    """Draw a value as a bar from zero, on a backdrop with its interval at the end."""
    height = HEIGHT if backdrop else _BAR_HEIGHT
    parts = [f'<use href="#{backdrop}"/>'] if backdrop else []
    zero, x = _x(axis, max(axis.low, 0.0)), _x(axis, value)
    left, right = min(zero, x), max(zero, x)
    parts.append(
        f'<rect class="bar" x="{_n(left)}" y="{_n(height / 2 - 5)}" '
        f'width="{_n(max(right - left, 0.8))}" height="10"/>'
    )
    if backdrop and low is not None and high is not None and low != high:
        parts.append(_whisker(axis, low, high, css="over"))
    return _row("".join(parts), height)


def axis_backdrop(identifier: str, axis: Axis, region: Region | None = None) -> Svg:
    """Return a symbol with what all rows of one column share: grid, reference, accepted region."""
    parts: list[str] = []
    if region is not None:
        left = 0.0 if region.low is None else _x(axis, region.low)
        right = WIDTH if region.high is None else _x(axis, region.high)
        parts.append(
            f'<rect class="accept" x="{_n(left)}" y="0" width="{_n(max(right - left, 0.0))}" '
            f'height="{_n(HEIGHT)}"/>'
        )
    parts += [f'<path class="grid" d="M{_n(_x(axis, tick))} 0v32"/>' for tick in axis.ticks]
    if axis.reference is not None:
        parts.append(f'<path class="ref" d="M{_n(_x(axis, axis.reference))} 0v32"/>')
    if region is not None:
        limits = [limit for limit in (region.low, region.high) if limit is not None]
        parts += [f'<path class="limit" d="M{_n(_x(axis, limit))} 0v32"/>' for limit in limits]
    return Svg(
        f'<symbol id="{escape(identifier)}" viewBox="0 0 {_n(WIDTH)} {_n(HEIGHT)}">'
        f"{''.join(parts)}</symbol>"
    )


def axis_labels(axis: Axis) -> Svg:
    """Return the numbers of an axis, to stand above a column of marks.

    The reference comes first, then the ends; what would cover one of them is left out.
    """
    taken: list[tuple[float, float]] = []
    texts: list[str] = []
    for tick in sorted(axis.ticks, key=lambda tick: _importance(tick, axis)):
        text = axis.label(tick)
        width = _CHARACTER * len(text)
        start = min(max(_x(axis, tick) - width / 2, 0.0), WIDTH - width)
        if any(start < right + 4 and left < start + width + 4 for left, right in taken):
            continue
        taken.append((start, start + width))
        middle = start + width / 2
        texts.append(f'<text x="{_n(middle)}" y="11" text-anchor="middle">{escape(text)}</text>')
    return Svg(
        f'<svg class="axis" viewBox="0 0 {_n(WIDTH)} 14" aria-hidden="true">{"".join(texts)}</svg>'
    )


_CHARACTER = 5.4
"""The width of a digit at the size of the axis' numbers."""


def _importance(tick: float, axis: Axis) -> tuple[bool, bool]:
    return (tick != axis.reference, tick not in (axis.low, axis.high))


def status_bar(parts: Sequence[tuple[str, str, int]], *, title: str) -> Svg:
    """Return a bar of shares: (css class, name, number) from left to right."""
    total = sum(number for _, _, number in parts) or 1
    gap = 3.0
    room = 600.0 - gap * max(0, sum(number > 0 for _, _, number in parts) - 1)
    out: list[str] = []
    x = 0.0
    for css, name, number in parts:
        if not number:
            continue
        width = room * number / total
        out.append(
            f'<rect class="s-{escape(css)}" x="{_n(x)}" y="0" width="{_n(width)}" height="14" '
            f'rx="3"><title>{escape(f"{name}: {number}")}</title></rect>'
        )
        x += width + gap
    text = ", ".join(f"{number} {name}" for _, name, number in parts if number)
    return Svg(
        '<svg class="statusbar" viewBox="0 0 600 14" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(f"{title}: {text}")}">{"".join(out)}</svg>'
    )


def line_chart(lines: Sequence[Line], axis: Axis, *, title: str, x_title: str) -> Svg:
    """Return a line chart over looks, with each line's name at its end.

    Lines differ by their dashes and their names as well as by their colour; the last point of each
    stands on its interval. ``axis`` is the vertical one.
    """
    drawn = [line for line in lines if line.points]
    xs = sorted({point[0] for line in drawn for point in line.points}) or [0.0]
    out = [*_horizontal_grid(axis), *_looks(xs, x_title)]
    paths = [[(_across(x, xs), _down(y, axis)) for x, y, _, _ in line.points] for line in drawn]
    names = _apart([path[-1][1] for path in paths], least=_TOP, most=_TALL - _BELOW)
    for number, (line, path, name_y) in enumerate(zip(drawn, paths, names, strict=True)):
        css, (x, y) = f"l{number % 6}", path[-1]
        course = "L".join(f"{_n(a)} {_n(b)}" for a, b in path)
        out.append(f'<path class="line {css}" d="M{course}"/>')
        low, high = line.points[-1][2:]
        if low is not None and high is not None:
            span = f"M{_n(x)} {_n(_down(low, axis))}V{_n(_down(high, axis))}"
            out.append(f'<path class="span {css}" d="{span}"/>')
        out.append(f'<circle class="end {css}" cx="{_n(x)}" cy="{_n(y)}" r="2.6"/>')
        out.append(
            f'<text class="name {css}" x="{_n(x + 8)}" y="{_n(name_y + 3.5)}">'
            f"{escape(_short(line.name, 18))}</text>"
        )
    summary = "; ".join(
        f"{line.name} from {line.points[0][1]:.3g} to {line.points[-1][1]:.3g}" for line in drawn
    )
    return Svg(
        f'<svg class="curves" viewBox="0 0 {_n(_WIDE)} {_n(_TALL)}" role="img">'
        f"<title>{escape(title)}</title><desc>{escape(summary)}</desc>{''.join(out)}</svg>"
    )


_WIDE, _TALL = 380.0, 210.0
_LEFT, _RIGHT, _TOP, _BELOW = 40.0, 112.0, 10.0, 30.0


def _across(x: float, xs: Sequence[float]) -> float:
    return _LEFT + (x - xs[0]) / ((xs[-1] - xs[0]) or 1.0) * (_WIDE - _LEFT - _RIGHT)


def _down(value: float, axis: Axis) -> float:
    return _TALL - _BELOW - axis.share(value) * (_TALL - _TOP - _BELOW)


def _horizontal_grid(axis: Axis) -> Iterator[str]:
    for tick in axis.ticks:
        y = _down(tick, axis)
        yield f'<path class="grid" d="M{_n(_LEFT)} {_n(y)}H{_n(_WIDE - _RIGHT)}"/>'
        yield (
            f'<text class="tick" x="{_n(_LEFT - 6)}" y="{_n(y + 3.5)}" text-anchor="end">'
            f"{escape(axis.label(tick))}</text>"
        )


def _looks(xs: Sequence[float], title: str) -> Iterator[str]:
    for x in _some(xs, 5):
        yield (
            f'<text class="tick" x="{_n(_across(x, xs))}" y="{_n(_TALL - _BELOW + 14)}" '
            f'text-anchor="middle">{x:g}</text>'
        )
    middle = (_LEFT + _WIDE - _RIGHT) / 2
    yield (
        f'<text class="tick" x="{_n(middle)}" y="{_n(_TALL - 2)}" text-anchor="middle">'
        f"{escape(title)}</text>"
    )


def _row(content: str, height: float = HEIGHT) -> Svg:
    box = f"0 0 {_n(WIDTH)} {_n(height)}"
    return Svg(f'<svg class="mark" viewBox="{box}" aria-hidden="true">{content}</svg>')


def _whisker(axis: Axis, low: float | None, high: float | None, *, css: str) -> str:
    start = axis.low if low is None else low
    stop = axis.high if high is None else high
    x1, x2 = _x(axis, start), _x(axis, stop)
    path = f"M{_n(x1)} {_n(_MIDDLE)}H{_n(x2)}"
    if css == "ci":
        path += _end(axis, low, x1, -1) + _end(axis, high, x2, 1)
    return f'<path class="{css}" d="{path}"/>'


def _end(axis: Axis, bound: float | None, x: float, way: int) -> str:
    """Return the cap of an interval, or an arrow where it goes on beyond the axis."""
    if bound is None or axis.outside(bound):
        return f"M{_n(x)} 13l{_n(3.0 * way)} 3l{_n(-3.0 * way)} 3"
    return f"M{_n(x)} 13.5v5"


def _x(axis: Axis, value: float) -> float:
    return EDGE + axis.share(value) * (WIDTH - 2 * EDGE)


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _some(values: Sequence[float], most: int) -> list[float]:
    """Return at most so many of the values, evenly, with the first and the last."""
    if len(values) <= most:
        return list(values)
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]


def _apart(ys: Sequence[float], *, least: float, most: float, gap: float = 12.0) -> list[float]:
    """Move labels apart so that none covers another, in their order, between two heights.

    >>> _apart([50, 51, 90], least=0, most=100)
    [50, 62.0, 90]
    """
    order = sorted(range(len(ys)), key=lambda i: ys[i])
    out = list(ys)
    last = least - gap
    for i in order:
        last = out[i] = max(ys[i], last + gap)
    room = most
    for i in reversed(order):
        out[i] = min(out[i], room)
        room = out[i] - gap
    return out


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
