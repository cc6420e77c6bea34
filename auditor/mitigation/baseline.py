"""No mitigation: what everything else is compared with."""

from __future__ import annotations

from auditor.mitigation.recipe import Decisions, Fitted, Recipe, Records, Task, add_recipe

__all__ = ["BASELINE"]


def _fit(_: Task) -> Fitted:
    return Fitted(_decide)


def _decide(records: Records) -> Decisions:
    return Decisions(records.selected, records.scores)


BASELINE = add_recipe(
    Recipe("none", "No mitigation", "baseline", _fit, "the decisions as they are")
).id
"""The id of the recipe that changes nothing."""
