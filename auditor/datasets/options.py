"""What an audit of data sets is given beside the tables themselves."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.datasets.table import Table

__all__ = ["DataOptions"]


@dataclass(frozen=True, slots=True)
class DataOptions:
    """What the checks of stage ``data`` are asked for.

    Parameters
    ----------
    population:
        The reference population: columns named like the sensitive attributes, and one with shares
        or counts, which ``population_column`` names where there are others beside.
    annotators:
        The columns with the labels that several people gave to the same record.
    proxies:
        Whether it is measured how well the features predict the sensitive attributes.
    features:
        The columns that are features; by default all that play no other role.
    seed:
        The seed of what is drawn at random.
    """

    population: Table | None = None
    population_column: str | None = None
    annotators: tuple[str, ...] = ()
    proxies: bool = False
    features: tuple[str, ...] = ()
    seed: int = 0
