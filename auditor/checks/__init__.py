"""The checks: one a file; importing this package registers the built-in ones."""

from auditor.checks.bias import group_metrics
from auditor.checks.check import CHECKS, Check, Evidence, NotMeasurable, check_from_spec, register
from auditor.checks.subject import Subject

BUILT_IN = (group_metrics,)

__all__ = [
    "BUILT_IN",
    "CHECKS",
    "Check",
    "Evidence",
    "NotMeasurable",
    "Subject",
    "check_from_spec",
    "register",
]
