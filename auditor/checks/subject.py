"""The subject: what there is to look at when a stage is audited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor.evidence import Stage
from auditor.stats import Groups, Statistic

if TYPE_CHECKING:
    from auditor.datasets import DataOptions, Roles, Table
    from auditor.provenance.lineage import Lineage
    from auditor.provenance.sources import Source

__all__ = ["Predicted", "Subject"]


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """Which rows of a split a model was run on, and the cells of its confusion table.

    ``rows`` has shape ``[records]``, and so have ``cells``: 3 · label + prediction, each 0, 1, or 2
    where it is missing.
    """

    split: str
    rows: NDArray[np.int64]
    cells: NDArray[np.int64]


def _no_roles() -> Roles:
    from auditor.datasets import Roles  # whoever judges what is recorded reads no data

    return Roles()


def _no_options() -> DataOptions:
    from auditor.datasets import DataOptions

    return DataOptions()


@dataclass(frozen=True, slots=True)
class Subject:
    """What the checks of one stage may measure.

    Parameters
    ----------
    stage:
        The stage that is audited.
    groups:
        The declared sensitive attributes and their families.
    roles:
        What the columns of the tables are for.
    tables:
        The data sets by split: ``train``, ``validation``, ``test``.
    predictions:
        A table with predictions beside targets and attributes, where one was given.
    predicted:
        What a model that was run on the rows of a split predicted, record by record.
    counted:
        Statistics that were accumulated elsewhere (in the training loop, over a loader, by an
        explainer), by kind.
    options:
        What an audit of data sets was given beside the tables.
    sources:
        Where the data come from, as far as it was declared.
    lineage:
        How the tables were made of the sources, as far as it was recorded.
    """

    stage: Stage
    groups: Groups
    roles: Roles = field(default_factory=_no_roles)
    tables: Mapping[str, Table] = field(default_factory=dict)
    predictions: Table | None = None
    counted: Mapping[str, Statistic] = field(default_factory=dict)
    options: DataOptions = field(default_factory=_no_options)
    sources: tuple[Source, ...] = ()
    lineage: Lineage | None = None
    predicted: Predicted | None = None
