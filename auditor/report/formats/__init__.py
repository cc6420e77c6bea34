"""The output formats: one a file; importing this package registers the built-in ones."""

from auditor.registry import import_modules
from auditor.report.formats.format import FORMATS, Format

import_modules("auditor.report.formats")

__all__ = ["FORMATS", "Format"]
