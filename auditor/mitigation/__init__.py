"""Ways out of a closed gate: mitigation recipes compared by what they cost and what they reach."""

from auditor.mitigation.compare import compare_mitigations, compare_thresholds
from auditor.mitigation.comparison import Comparison, WayOut
from auditor.mitigation.recipe import (
    RECIPES,
    Constraint,
    Decisions,
    Fitted,
    Recipe,
    Records,
    Task,
    add_recipe,
)
from auditor.mitigation.results import GroupRate, Result
from auditor.mitigation.tradeoff import Tradeoff, threshold_tradeoff, tradeoff
from auditor.mitigation.weights import resample, reweigh
from auditor.registry import import_modules

import_modules("auditor.mitigation")  # they register their recipes

__all__ = [
    "RECIPES",
    "Comparison",
    "Constraint",
    "Decisions",
    "Fitted",
    "GroupRate",
    "Recipe",
    "Records",
    "Result",
    "Task",
    "Tradeoff",
    "WayOut",
    "add_recipe",
    "compare_mitigations",
    "compare_thresholds",
    "resample",
    "reweigh",
    "threshold_tradeoff",
    "tradeoff",
]
