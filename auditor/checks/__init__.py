"""The checks: one a file; importing this package registers the built-in ones."""

from auditor.checks.bias import (
    adverse_impact,
    base_rates,
    class_metrics,
    conditional_parity,
    group_metrics,
    label_disagreement,
    membership,
    proxies,
    ranking,
    regression,
    representation,
    subgroups,
    training_loss,
    unknown,
)
from auditor.checks.check import (
    CHECKS,
    Check,
    Evidence,
    NotApplicable,
    NotMeasurable,
    check_from_spec,
    register,
)
from auditor.checks.explainability import attributions
from auditor.checks.provenance import missing_values, repeated_rows
from auditor.checks.subject import Subject

BUILT_IN = (
    adverse_impact,
    base_rates,
    class_metrics,
    conditional_parity,
    group_metrics,
    label_disagreement,
    membership,
    proxies,
    ranking,
    regression,
    representation,
    subgroups,
    training_loss,
    unknown,
    attributions,
    missing_values,
    repeated_rows,
)

__all__ = [
    "BUILT_IN",
    "CHECKS",
    "Check",
    "Evidence",
    "NotApplicable",
    "NotMeasurable",
    "Subject",
    "check_from_spec",
    "register",
]
