"""Which records of a table overlap the training data: equal, near, contained, by entity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from auditor.checks.check import Check, NotMeasurable
from auditor.checks.provenance.documents import Texts, content, rows_of, text_columns
from auditor.checks.provenance.methods import (
    containment_method,
    near_rows_method,
    near_text_method,
)
from auditor.checks.subject import Subject

if TYPE_CHECKING:
    from auditor.datasets import Table
    from auditor.provenance.entities import EntityOverlap
    from auditor.provenance.near_duplicates import NearDuplicates

__all__ = ["Comparing", "Marked", "contained_in", "entities_in", "equal_to", "near_to"]


class Comparing(Check):
    """The fields that say how records are compared; the base of the checks that do."""

    similarity: Annotated[float, Field(ge=0.3, le=1)] = 0.8
    shingle: Annotated[int, Field(ge=1, le=20)] = 2
    ngram: Annotated[int, Field(ge=2, le=100)] = 13
    contained: Annotated[float, Field(gt=0, le=1)] = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Marked:
    """Which records were found, out of those that could be compared, and how they were."""

    found: NDArray[np.bool_]
    compared: NDArray[np.bool_]
    context: Mapping[str, Any]


def equal_to(table: Table, train: Table, subject: Subject) -> NDArray[np.bool_]:
    """Mark the rows that equal a training row in all columns that both have."""
    from auditor.provenance import seen_in

    shared = [column for column in content(train, subject) if column in table.columns]
    if not shared:
        raise NotMeasurable(f"train and {table.name} have no column in common")
    return seen_in(table.row_hashes(shared), train.row_hashes(shared))


def near_to(
    tables: Mapping[str, Table], train: Table, subject: Subject, how: Comparing
) -> dict[str, Marked | str]:
    """Mark the records near a training record, or say why there is none to compare."""
    from auditor.provenance.near_rows import near_rows

    if subject.options.text:
        return _near_texts(tables, train, subject, how)
    out: dict[str, Marked | str] = {}
    for name, table in tables.items():
        shared = [column for column in content(train, subject) if column in table.columns]
        if not shared:
            out[name] = f"train and {name} have no column in common"
            continue
        found = near_rows(
            {"train": rows_of(train, shared), name: rows_of(table, shared)},
            similarity=how.similarity,
        )[name]
        context = near_rows_method(len(shared), how.similarity, found.uncompared)
        out[name] = _marked(found, context)
    return out


def _near_texts(
    tables: Mapping[str, Table], train: Table, subject: Subject, how: Comparing
) -> dict[str, Marked | str]:
    from auditor.provenance.near_duplicates import near_duplicates

    usable, out = _with_text(tables, train, subject)
    if usable:
        found = near_duplicates(
            {"train": Texts(train, text_columns(train, subject)), **usable},
            similarity=how.similarity, shingle=how.shingle,
        )  # fmt: skip
        for name in usable:
            context = near_text_method(how.similarity, how.shingle, found[name].uncompared)
            out[name] = _marked(found[name], context)
    return out


def contained_in(
    tables: Mapping[str, Table], train: Table, subject: Subject, how: Comparing
) -> dict[str, Marked | str]:
    """Mark the texts of whose n-grams enough occur in the training text."""
    from auditor.provenance.containment import containment

    if not subject.options.text:
        return dict.fromkeys(tables, "no text column was named")
    usable, out = _with_text(tables, train, subject)
    if usable:
        shares = containment(usable, Texts(train, text_columns(train, subject)), ngram=how.ngram)
        for name, share in shares.items():
            compared = ~np.isnan(share)
            found = np.where(compared, share, 0.0) >= how.contained
            out[name] = Marked(found, compared, containment_method(how.ngram, how.contained))
    return out


def entities_in(table: Table, train: Table, subject: Subject) -> EntityOverlap | str:
    """Find the entities of a table that have training records too."""
    from auditor.provenance.entities import entity_overlap

    column = subject.options.entity
    if column is None:
        return "no entity column was named"
    for one in (train, table):
        if column not in one.columns:
            return f"{one.name} has no column {column!r}"
    return entity_overlap(*_entities(table, column), *_entities(train, column))


def _entities(table: Table, column: str) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    known = table.query(f"select {table.text(column)} is not null as k from data")["k"]
    return table.row_hashes([column])[:, 0].copy(), known.to_numpy().astype(bool)


def _with_text(
    tables: Mapping[str, Table], train: Table, subject: Subject
) -> tuple[dict[str, Texts], dict[str, Marked | str]]:
    named = ", ".join(subject.options.text)
    usable: dict[str, Texts] = {}
    out: dict[str, Marked | str] = {}
    for name, table in tables.items():
        without = [
            where for where, one in (("train", train), (name, table))
            if not text_columns(one, subject)
        ]  # fmt: skip
        if without:
            out[name] = f"{without[0]} has no text column {named}"
        else:
            usable[name] = Texts(table, text_columns(table, subject))
    return usable, out


def _marked(found: NearDuplicates, context: Mapping[str, Any]) -> Marked:
    return Marked(found.in_source, ~found.empty, context)
