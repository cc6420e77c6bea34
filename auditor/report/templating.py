"""Jinja2, set up so that nothing from data or policy can become markup or fail in silence."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.report.cells import method_text
from auditor.report.numbers import count_text, interval_text, number_text, percent_text
from auditor.report.text import metric_title, over_text, shown, slice_text, stage_text
from auditor.report.words import status_word
from auditor.resources import resource_folder

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["FILTERS", "environment", "template_text"]

FILTERS: dict[str, Callable[..., Any]] = {
    "count": count_text,
    "interval": interval_text,
    "method": method_text,
    "metric": metric_title,
    "number": number_text,
    "over": over_text,
    "percent": percent_text,
    "shown": shown,
    "slice": slice_text,
    "stage": stage_text,
    "status": status_word,
}
"""Text for people, in every format."""


@cache
def environment(*, autoescape: bool, finalize: Callable[[Any], Any] | None = None) -> Environment:
    """Return the environment over the shipped templates.

    A name that is not defined is an error. ``finalize`` is applied to everything that a template
    puts out, for formats that Jinja2's own escaping (HTML) does not fit.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(resource_folder("templates")),
        autoescape=autoescape,
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(FILTERS)
    return made


def template_text(name: str) -> str:
    """Return a file of the templates' folder as it is."""
    return Path(resource_folder("templates") / name).read_text("utf-8")
