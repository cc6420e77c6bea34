"""Explanations that say how far they can be trusted."""

from auditor.explain.attributions import Attributions
from auditor.explain.explain import explain

__all__ = ["Attributions", "explain"]
