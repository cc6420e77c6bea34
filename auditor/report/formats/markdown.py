"""Markdown: the report for a pull request, a wiki or a terminal.

Everything that a template puts out is escaped, unless it is marked as finished: a name from the
data can neither end a table's cell, nor begin a link, nor bring HTML along.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from typing import Any

from auditor.report.formats.format import FORMATS, Format
from auditor.report.templating import environment
from auditor.report.view import ReportView

__all__ = ["Markdown", "escape_markdown", "render_markdown"]

# Brackets make links, a pipe ends a cell; the others are emphasis, code, HTML, entities, formulas.
_ACTIVE = re.compile(r"([\\`*_\[\]<>|~#!&$])")
_LINK = re.compile(r"(https?|ftp|mailto|xmpp):|\bwww\.|@", re.IGNORECASE)


class Markdown(str):
    """Text that is Markdown already."""

    __slots__ = ()


def render_markdown(view: ReportView) -> bytes:
    """Return the report as UTF-8."""
    page = environment(autoescape=False, finalize=_finalize).get_template("report.md.j2")
    text = page.render(view=view, code=_code, md=Markdown, names=partial(_names, view))
    return re.sub(r"\n{3,}", "\n\n", text).encode()


def escape_markdown(text: str) -> str:
    r"""Return text that Markdown shows as it is.

    Addresses are kept from turning into links by themselves, as GitHub's dialect makes them.

    >>> escape_markdown("a|b [x](javascript:alert) <b>")
    'a\\|b \\[x\\](javascript:alert) \\<b\\>'
    >>> escape_markdown("http://x.y, www.z")
    'http\\://x.y, www\\.z'
    """
    escaped = _ACTIVE.sub(r"\\\1", text.replace("\n", " "))
    return _LINK.sub(lambda found: f"{found[0][:-1]}\\{found[0][-1]}", escaped)


def _finalize(value: Any) -> str:
    return str(value) if isinstance(value, Markdown) else escape_markdown(str(value))


def _code(text: object) -> Markdown:
    """Return a code span that its content cannot end, in a table's cell or outside one."""
    plain = str(text).replace("\n", " ").replace("|", "‖")
    longest = max((len(run) for run in re.findall("`+", plain)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if plain.startswith("`") or plain.endswith("`") else ""
    return Markdown(f"{fence}{pad}{plain}{pad}{fence}")


def _names(view: ReportView, digests: Iterable[str]) -> str:
    return ", ".join(view.evidence[digest].name for digest in digests if digest in view.evidence)


FORMATS.add("md", Format(".md", "for pull requests and terminals", render_markdown))
