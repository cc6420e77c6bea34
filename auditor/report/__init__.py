"""Reports: a recorded run as a page, as Markdown, or as JSON.

``view`` gathers everything that is shown from the ledger and what it binds; ``charts`` are pure
functions from numbers to SVG; ``formats`` holds one output format a file. To add one: a function
from :class:`ReportView` to bytes, registered in :data:`FORMATS`.
"""

from auditor.report.formats import FORMATS, Format
from auditor.report.render import render, write_reports
from auditor.report.view import ReportView, make_view

__all__ = ["FORMATS", "Format", "ReportView", "make_view", "render", "write_reports"]
