"""The picture of a lineage: its own layered layout, as SVG that needs nothing from outside.

Data are boxes, steps are pills, and everything flows down. Lines and text have the colour of the
text around, so that the picture works on paper and in the dark.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from auditor.provenance.lineage import Data, Derivation, Lineage

__all__ = ["lineage_svg"]

_WIDTH, _HEIGHT, _GAP, _RISE, _EDGE = 200.0, 44.0, 20.0, 34.0, 10.0
_LANE = 14.0
"""The width that a line takes where it passes a layer between two boxes."""

_ROOM = _WIDTH - 22
_MOST_NODES = 400
_SWEEPS = 8


@dataclass(frozen=True, slots=True)
class _Node:
    """One box or pill: its two lines, its whole text, and how it is drawn."""

    title: str
    note: str
    whole: str
    css: str


def lineage_svg(lineage: Lineage) -> str:
    """Return the picture of a lineage; the same lineage gives the same bytes.

    Long names are cut where everybody can see it, and stand whole in the ``<title>`` of their box.
    Of a lineage with more than 400 boxes the last are left out, and the picture says so.
    """
    nodes, edges = _graph(lineage)
    hidden = max(0, len(nodes) - _MOST_NODES)
    kept = dict(list(nodes.items())[:_MOST_NODES])
    edges = [(a, b) for a, b in edges if a in kept and b in kept]
    layers, lines = _with_lanes(_layers(kept, edges), edges)
    pairs = [pair for line in lines for pair in pairwise(line)]
    at = _positions(_ordered(layers, pairs), pairs)
    width = max((x + _WIDTH / 2 for x, _ in at.values()), default=_WIDTH) + _EDGE
    height = max((y + _HEIGHT for _, y in at.values()), default=0.0) + _EDGE
    note = ""
    if hidden or not kept:
        text = f"… and {hidden:,} more" if hidden else "No data are recorded."
        note = f'<text x="{_n(_EDGE)}" y="{_n(height + 14)}">{text}</text>'
        height += 24
    body = [_line([at[key] for key in line]) for line in lines]
    body += [_box(node, *at[key]) for key, node in kept.items()]
    steps = len(lineage.derivations)
    summary = (
        f"{len(lineage.sources)} beginnings, {steps} steps, {len(lineage.data)} data sets. "
        + " ".join(_sentence(step) for step in lineage.derivations[:20])
        + (f" And {steps - 20:,} more steps." if steps > 20 else "")
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lineage" role="img" '
        f'viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" height="{_n(height)}" '
        'fill="currentColor" font-family="system-ui, '
        'sans-serif" font-size="12"><title>How the data were made</title>'
        f"<desc>{_text(summary)}</desc>{''.join(body)}{note}</svg>"
    )


def _graph(lineage: Lineage) -> tuple[dict[str, _Node], list[tuple[str, str]]]:
    """Return boxes and pills in the order in which they were made, and the lines between them."""
    nodes = {f"d {data.id}": _data_node(data) for data in lineage.sources}
    edges: list[tuple[str, str]] = []
    for position, step in enumerate(lineage.derivations):
        key = f"s {position}"
        nodes[key] = _step_node(step)
        edges += [(f"d {data.id}", key) for data in step.inputs]
        for data in step.made:
            nodes[f"d {data.id}"] = _data_node(data)
            edges.append((key, f"d {data.id}"))
    return nodes, edges


def _data_node(data: Data) -> _Node:
    rows = "" if data.rows is None else f"{data.rows:,} rows"
    kind = "source" if data.kind == "source" else ""
    note = ", ".join(part for part in (kind, rows) if part) or "rows not recorded"
    return _Node(data.name, note, f"{data.name}: {note}; {data.id}", kind or "table")


def _step_node(step: Derivation) -> _Node:
    how, before, after = step.how, step.rows_before, step.rows_after
    if how.error is not None:
        note = how.error
    elif not step.made and step.outputs:
        note = "nothing changed"
    elif before is None or after is None or not step.outputs:
        note = how.kind
    elif after == before:
        note = f"{after:,} rows {'kept' if how.kind != 'split' else 'split'}"
    else:
        note = f"{abs(after - before):,} rows {'dropped' if after < before else 'added'}"
    seed = "" if how.seed is None else f", seed {how.seed}"
    return _Node(how.name, note, f"{how.name}: {note}{seed}", "error" if how.error else "step")


def _layers(nodes: Mapping[str, _Node], edges: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Put every node one below the deepest that it depends on, and beginnings above their use."""
    above: dict[str, list[str]] = {key: [] for key in nodes}
    below: dict[str, list[str]] = {key: [] for key in nodes}
    for a, b in edges:
        above[b].append(a)
        below[a].append(b)
    depth: dict[str, int] = {}
    for key in nodes:  # in the order in which they were made: what is above comes first
        depth[key] = 1 + max((depth[a] for a in above[key]), default=-1)
    for key in nodes:
        if not above[key] and below[key]:
            depth[key] = min(depth[b] for b in below[key]) - 1
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for key, level in depth.items():
        layers[level].append(key)
    return layers


def _with_lanes(
    layers: list[list[str]], edges: Sequence[tuple[str, str]]
) -> tuple[list[list[str]], list[list[str]]]:
    """Give lines that pass layers a lane in each of them; return the lines as lists of keys."""
    level = {key: number for number, layer in enumerate(layers) for key in layer}
    lines: list[list[str]] = []
    for number, (a, b) in enumerate(edges):
        lanes = [f"l {number} {passed}" for passed in range(level[a] + 1, level[b])]
        for passed, lane in zip(range(level[a] + 1, level[b]), lanes, strict=True):
            layers[passed].append(lane)
        lines.append([a, *lanes, b])
    return layers, lines


def _ordered(layers: list[list[str]], edges: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Order each layer by the middle of its neighbours, so that fewer lines cross.

    Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system
    structures", 1981: barycentres, swept down and up.
    """
    down: dict[str, list[str]] = {}
    up: dict[str, list[str]] = {}
    for a, b in edges:
        down.setdefault(a, []).append(b)
        up.setdefault(b, []).append(a)
    for sweep in range(_SWEEPS):
        near = up if sweep % 2 == 0 else down
        place = _places(layers)
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            layer.sort(key=lambda key: _middle(near.get(key, []), place, place[key]))
            place |= _places([layer])
    return layers


def _places(layers: Sequence[Sequence[str]]) -> dict[str, float]:
    """Return where each node stands in its layer, from -0.5 to 0.5."""
    return {
        key: (position + 0.5) / len(layer) - 0.5
        for layer in layers
        for position, key in enumerate(layer)
    }


def _middle(neighbours: Sequence[str], place: Mapping[str, float], own: float) -> float:
    found = [place[key] for key in neighbours]
    return sum(found) / len(found) if found else own


def _positions(
    layers: Sequence[Sequence[str]], pairs: Sequence[tuple[str, str]]
) -> dict[str, tuple[float, float]]:
    """Return the middle of the upper side of each node: below what it comes from, in order."""
    up: dict[str, list[str]] = {}
    for a, b in pairs:
        up.setdefault(b, []).append(a)
    across: dict[str, float] = {}
    for layer in layers:
        wanted: list[float] = []
        taken: list[float] = []
        for key in layer:
            above = [across[a] for a in up.get(key, ())]
            free = taken[-1] + _apart(layer[len(taken) - 1], key) if taken else -1e9
            wanted.append(sum(above) / len(above) if above else max(free, 0.0))
            taken.append(max(wanted[-1], free))
        shift = sum(w - t for w, t in zip(wanted, taken, strict=True)) / len(layer)
        across |= {key: x + shift for key, x in zip(layer, taken, strict=True)}
    left = min((x - _width(key) / 2 for key, x in across.items()), default=0.0)
    return {
        key: (across[key] - left + _EDGE, _EDGE + level * (_HEIGHT + _RISE))
        for level, layer in enumerate(layers)
        for key in layer
    }


def _width(key: str) -> float:
    return _LANE if key[0] == "l" else _WIDTH


def _apart(left: str, right: str) -> float:
    return (_width(left) + _width(right)) / 2 + _GAP


def _line(points: Sequence[tuple[float, float]]) -> str:
    """Draw a line from below the first point to above the last, straight through its lanes."""
    x, y = points[0]
    course = [f"M{_n(x)} {_n(y + _HEIGHT)}"]
    for position, ((x1, y1), (x2, y2)) in enumerate(pairwise(points)):
        last = position == len(points) - 2
        middle = _n((y1 + _HEIGHT + y2) / 2)
        course.append(f"C{_n(x1)} {middle} {_n(x2)} {middle} {_n(x2)} {_n(y2 - 6 * last)}")
        if not last:
            course.append(f"V{_n(y2 + _HEIGHT)}")
    x, y = points[-1]
    return (
        f'<path d="{"".join(course)}" fill="none" stroke="currentColor" stroke-opacity="0.55"/>'
        f'<path d="M{_n(x - 4)} {_n(y - 7)}l4 7 4-7z" fill-opacity="0.55"/>'
    )


_RADIUS = {"source": 3, "table": 3, "step": 22, "error": 22}
_DASH = {"source": ' stroke-width="2"', "error": ' stroke-dasharray="4 3"'}


def _box(node: _Node, x: float, y: float) -> str:
    fill = "0.1" if node.css in {"step", "error"} else "0"
    return (
        f'<g class="{node.css}"><title>{_text(node.whole)}</title>'
        f'<rect x="{_n(x - _WIDTH / 2)}" y="{_n(y)}" width="{_n(_WIDTH)}" height="{_n(_HEIGHT)}" '
        f'rx="{_RADIUS[node.css]}" fill-opacity="{fill}" stroke="currentColor"'
        f"{_DASH.get(node.css, '')}/>"
        f'<text x="{_n(x)}" y="{_n(y + 19)}" text-anchor="middle" font-weight="600">'
        f"{escape(_cut(_visible(node.title)))}</text>"
        f'<text x="{_n(x)}" y="{_n(y + 34)}" text-anchor="middle" font-size="11" '
        f'fill-opacity="0.8">{escape(_cut(_visible(node.note), 0.85))}</text></g>'
    )


_NARROW, _BROAD = frozenset("iljtfrI.,:;'|!()[] "), frozenset("mwMW@%&—…‰æœÆŒ")


def _advance(character: str) -> float:
    """Return at most how wide a bold character is at 12 pixels, in the fonts a page may have."""
    if unicodedata.east_asian_width(character) in "WF" or ord(character) > 0xFFFF:
        return 13.0
    if character in _BROAD:
        return 13.2
    if character in _NARROW:
        return 5.4
    return 9.6 if character.isupper() else 8.4


def _cut(text: str, scale: float = 1.0) -> str:
    """Cut a text that may be wider than its box; ``scale`` is its size against bold at 12 pixels.

    >>> _cut("short"), _cut("x" * 100)[-2:]
    ('short', 'x…')
    """
    if sum(map(_advance, text)) * scale <= _ROOM:
        return text
    room, kept = _ROOM / scale - _advance("…"), ""
    for character in text:
        room -= _advance(character)
        if room < 0:
            break
        kept += character
    return kept + "…"


def _sentence(step: Derivation) -> str:
    inputs = ", ".join(data.name for data in step.inputs) or "nothing"
    outputs = ", ".join(data.name for data in step.outputs) or "nothing"
    return f"{step.how.name}: {inputs} to {outputs}."


def _text(text: str) -> str:
    return escape(_visible(text))


def _visible(text: str) -> str:
    """Return text in which what cannot be seen, or may not stand in XML, is spelled out."""
    return "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    if character in "\n\t":
        return " "
    hidden = unicodedata.category(character) in {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
    return f"‹U+{ord(character):04X}›" if hidden else character


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
