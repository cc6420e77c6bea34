"""Tables as streams of tokens: their columns of text, and their rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor.checks.check import NotMeasurable
from auditor.checks.subject import Subject

if TYPE_CHECKING:
    from auditor.datasets import Table
    from auditor.provenance.tokens import Tokens

__all__ = ["Texts", "content", "rows_of", "text_columns"]

_ROWS = 1 << 16


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of a table, read anew each time; several columns are one text, line by line."""

    table: Table
    columns: tuple[str, ...]

    def __iter__(self) -> Iterator[Tokens]:
        from auditor.provenance.tokens import text_tokens

        texts = ", ".join(self.table.text(column) for column in self.columns)
        for batch in self.table.batches(
            f"select concat_ws(chr(10), {texts}) as t from data", rows=_ROWS
        ):
            yield text_tokens(batch.column("t"))


def text_columns(table: Table, subject: Subject) -> tuple[str, ...]:
    """Return which of the named text columns a table has."""
    return tuple(column for column in subject.options.text if column in table.columns)


def content(table: Table, subject: Subject) -> list[str]:
    """Return the columns that make up a row: all but the record id."""
    columns = [column for column in table.columns if column != subject.roles.record_id]
    if not columns:
        raise NotMeasurable(f"{table.name} has no column but the record id")
    return columns


def rows_of(table: Table, columns: Sequence[str]) -> NDArray[np.uint64]:
    """Return the rows as tokens ``column=value``, shape ``[rows, columns]``."""
    from auditor.provenance.near_rows import row_tokens

    listed: list[str] = []
    for place, column in enumerate(columns):
        number, text = table.number(column), table.text(column)
        listed.append(f"{number} as n{place}")
        listed.append(f"case when ({number}) is null then {text} end as t{place}")
    parts = [
        row_tokens([(batch.column(2 * i), batch.column(2 * i + 1)) for i in range(len(columns))])
        for batch in table.batches(f"select {', '.join(listed)} from data", rows=_ROWS)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, len(columns)), np.uint64)
