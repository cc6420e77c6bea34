"""What an audit of data sets is given beside the tables themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
    text:
        The columns of free text, among which near duplicates are looked for.
    entity:
        The column of what records share (a patient, a user, a source), which must not lie on both
        sides of a split.
    benchmarks:
        Public benchmarks by name, of which no record may have been trained on.
    production:
        Records as they come in after deployment, with columns like the training data.
    seed:
        The seed of what is drawn at random.
    digest_key:
        A secret of the run, under which values are digested that must not be guessed.
    """

    population: Table | None = None
    population_column: str | None = None
    annotators: tuple[str, ...] = ()
    proxies: bool = False
    features: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    entity: str | None = None
    benchmarks: Mapping[str, Table] = field(default_factory=dict[str, Table])
    production: Table | None = None
    seed: int = 0
    digest_key: bytes | None = field(default=None, repr=False, compare=False)
