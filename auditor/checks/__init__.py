"""The checks: one a file; importing this package registers the built-in ones."""

from auditor.checks.check import (
    CHECKS,
    Check,
    Evidence,
    NotApplicable,
    NotMeasurable,
    check_from_spec,
    register,
)
from auditor.checks.subject import Predicted, Subject
from auditor.registry import import_modules

for _topic in ("bias", "explainability", "provenance"):
    import_modules(f"auditor.checks.{_topic}")

__all__ = [
    "CHECKS",
    "Check",
    "Evidence",
    "NotApplicable",
    "NotMeasurable",
    "Predicted",
    "Subject",
    "check_from_spec",
    "register",
]
