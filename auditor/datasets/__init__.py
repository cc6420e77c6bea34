"""The embedded data, and tables scanned where they lie."""

from auditor.datasets.medians import weighted_median
from auditor.datasets.opening import open_table
from auditor.datasets.options import DataOptions
from auditor.datasets.roles import Roles, declare_groups
from auditor.datasets.scan import group_codes, scan_confusion, scan_missing, scan_scores
from auditor.datasets.scan_classes import scan_classes
from auditor.datasets.scan_counts import scan_counts
from auditor.datasets.scan_score_sums import scan_score_sums
from auditor.datasets.scan_strata import scan_strata
from auditor.datasets.scan_weights import (
    scan_frequencies,
    scan_frequency_scores,
    scan_labels,
    scan_weighted,
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
    "scan_frequency_scores",
    "scan_labels",
    "scan_missing",
    "scan_score_sums",
    "scan_scores",
    "scan_strata",
    "scan_weighted",
    "stream",
    "weighted_median",
]
