"""The embedded data, and tables scanned where they lie."""

from auditor.datasets.medians import weighted_median
from auditor.datasets.opening import open_table
from auditor.datasets.options import DataOptions
from auditor.datasets.roles import Roles, declare_groups
from auditor.datasets.scan import group_codes, scan_confusion, scan_missing, scan_scores
from auditor.datasets.scan_counts import scan_counts
from auditor.datasets.scan_strata import scan_strata
from auditor.datasets.scan_tasks import (
    scan_classes,
    scan_frequencies,
    scan_score_sums,
    scan_weighted,
    scan_weighted_scores,
)
from auditor.datasets.stream import Batch, stream
from auditor.datasets.table import Table

__all__ = [
    "Batch",
    "DataOptions",
    "Roles",
    "Table",
    "declare_groups",
    "group_codes",
    "open_table",
    "scan_classes",
    "scan_confusion",
    "scan_counts",
    "scan_frequencies",
    "scan_missing",
    "scan_score_sums",
    "scan_scores",
    "scan_strata",
    "scan_weighted",
    "scan_weighted_scores",
    "stream",
    "weighted_median",
]
