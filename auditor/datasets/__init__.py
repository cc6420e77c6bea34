"""The embedded data, and tables scanned where they lie."""

from auditor.datasets.opening import open_table
from auditor.datasets.roles import Roles, declare_groups
from auditor.datasets.scan import group_codes, scan_confusion, scan_missing, scan_scores
from auditor.datasets.table import Table

__all__ = [
    "Roles",
    "Table",
    "declare_groups",
    "group_codes",
    "open_table",
    "scan_confusion",
    "scan_missing",
    "scan_scores",
]
