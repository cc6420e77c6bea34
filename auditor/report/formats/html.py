"""HTML: one page that needs nothing else, for a screen, a phone, paper and a screen reader.

The page carries a content security policy that allows its own style and its own small script, each
by its digest, and nothing else: no other script could run, and nothing can be loaded, even if some
text from the data had come through unescaped.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import partial

from auditor.report.axes import Axis
from auditor.report.blocks import Block
from auditor.report.cells import Cell, Column
from auditor.report.charts import (
    Svg,
    axis_backdrop,
    axis_labels,
    bar_mark,
    interval_mark,
    line_chart,
    status_bar,
)
from auditor.report.formats.format import FORMATS, Format
from auditor.report.rules import BoundRow, RuleView
from auditor.report.templating import environment, template_text
from auditor.report.view import ReportView
from auditor.report.words import MEANINGS

__all__ = ["render_html"]

_SHARE = Axis(0.0, 1.0, (0.0, 0.5, 1.0))


def render_html(view: ReportView) -> bytes:
    """Return the page as UTF-8."""
    style = _tight(template_text("report.css"))
    script = _tight(template_text("report.js"))
    page = environment(autoescape=True).get_template("report.html.j2")
    text = page.render(
        view=view,
        style=Svg(style),
        script=Svg(script),
        style_digest=_csp_digest(style),
        script_digest=_csp_digest(script),
        names=partial(_names, view),
        placed=frozenset(_placed(view.blocks)),
        axis_backdrop=axis_backdrop,
        axis_labels=axis_labels,
        bound_mark=_bound_mark,
        line_chart=line_chart,
        bar=_bar,
        mark=_mark,
        meanings=MEANINGS,
        share_mark=_share_mark,
        status_bar=status_bar,
    )
    return re.sub(r"\n\s*", "\n", text).encode()


def _placed(blocks: Iterable[Block]) -> Iterator[int]:
    """Yield the findings that have a place on the page, so that nothing links to nowhere."""
    for block in blocks:
        for panel in (*block.panels, *block.singles):
            for family in panel.families:
                for row in family.rows:
                    yield from (cell.index for cell in row.cells if cell is not None)
        for gap in block.gaps:
            yield from (row.cell.index for row in gap.rows)
        for matrix in block.matrices:
            for rows in (matrix.rows, *(table.rows for table in matrix.groups)):
                yield from (c.index for row in rows for c in row.cells if c is not None)
        for population in block.populations:
            yield from () if population.index is None else (population.index,)
            yield from (group.index for family in population.families for group in family.groups)


def _mark(column: Column, cell: Cell) -> Svg | str:
    finding = cell.finding
    if finding.value is None:
        return ""
    return interval_mark(
        column.axis, finding.value, finding.low, finding.high, backdrop=column.id,
        hollow=column.undecided(cell),
    )  # fmt: skip


def _bar(column: Column, cell: Cell) -> Svg | str:
    finding = cell.finding
    if finding.value is None:
        return ""
    return bar_mark(column.axis, finding.value, finding.low, finding.high, backdrop=column.id)


def _share_mark(share: float | None) -> Svg | str:
    return "" if share is None else bar_mark(_SHARE, share)


def _bound_mark(rule: RuleView, row: BoundRow, backdrop: str) -> Svg | str:
    bound = row.bound
    if bound.value is None:
        return ""
    return interval_mark(
        rule.axis, bound.value, bound.low, bound.high, backdrop=backdrop,
        outer=(bound.family_low, bound.family_high),
    )  # fmt: skip


def _names(view: ReportView, digests: Iterable[str]) -> list[str]:
    """Return the short names of evidence, as the appendix lists them."""
    return [view.evidence[digest].name for digest in digests if digest in view.evidence]


def _tight(source: str) -> str:
    """Drop the comments and the indentation of a style or a script."""
    source = re.sub(r"/\*.*?\*/", "", source, flags=re.DOTALL)
    return re.sub(r"\s*\n\s*", "\n", source).strip()


def _csp_digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


FORMATS.add("html", Format(".html", "one page for people, on screen and paper", render_html))
