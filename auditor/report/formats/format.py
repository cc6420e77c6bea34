"""What an output format is: the view of a run in, bytes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from auditor.registry import Registry
from auditor.report.view import ReportView

__all__ = ["FORMATS", "Format"]


@dataclass(frozen=True, slots=True)
class Format:
    """A format: the suffix of its files, what it is for, and how a view is rendered in it."""

    suffix: str
    title: str
    render: Callable[[ReportView], bytes]


FORMATS: Registry[Format] = Registry("output format", group="auditor.formats")
