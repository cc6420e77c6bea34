"""Records by group beside the shares of a reference population."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from auditor.datasets.grouping import grouped
from auditor.datasets.population import Population
from auditor.datasets.roles import Roles
from auditor.datasets.table import Table
from auditor.errors import InputError, nearest
from auditor.stats import Attribute, Groups, SliceTable
from auditor.stats.representation import representation_zero, with_population

__all__ = ["scan_representation"]


def scan_representation(
    table: Table,
    groups: Groups,
    roles: Roles,
    population: Population,
    *,
    context: Mapping[str, Any] | None = None,
) -> SliceTable:
    """Count the records of every slice, and put the population's shares beside them.

    A group of the population that the table lacks is a group all the same: it has 0 records.
    Raises :class:`InputError` for a level of a binned attribute that is none of its bins.
    """
    attributes: list[Attribute] = []
    for attribute in groups.attributes:
        new = [v for v in population.levels(attribute.name) if v not in attribute.levels]
        if new and attribute.name in roles.bins:
            raise InputError(
                f"the population's {attribute.name}={new[0]} is no group", where="--population",
                valid=nearest(new[0], attribute.levels),
            )  # fmt: skip
        levels = (*attribute.levels, *sorted(new))
        attributes.append(Attribute(name=attribute.name, levels=levels))
    wider = Groups(attributes=tuple(attributes), families=groups.families)
    counts = representation_zero(wider, context)
    found = grouped(table, wider, roles, {})
    np.add.at(counts.values[:, 0], found.slices, found.counts)
    shares = {f: s for f in wider.families if (s := population.of(f)) is not None}
    return with_population(counts, shares)
