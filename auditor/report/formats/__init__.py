"""The output formats: one a file; importing this package registers the built-in ones."""

from auditor.report.formats import html, json, markdown
from auditor.report.formats.format import FORMATS, Format

BUILT_IN = (html, json, markdown)

__all__ = ["BUILT_IN", "FORMATS", "Format"]
