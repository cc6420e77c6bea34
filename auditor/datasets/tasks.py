"""Which columns each task needs, and what they must hold."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.datasets.roles import Roles
from auditor.datasets.table import Table
from auditor.errors import InputError
from auditor.stats import MOST_CLASSES

__all__ = ["check_data", "check_task", "classes_of"]


def check_task(table: Table, roles: Roles) -> None:
    """Check that the columns hold what a task that is not binary needs of them.

    Raises :class:`InputError` naming the option, the column and the number of rows.
    """
    for column in roles.bins:
        table.require_numbers(column, option="--bins")
    match roles.task:
        case "multiclass":
            _needs(roles, ("target", "prediction"), table)
            classes_of([table], roles)
        case "regression":
            _needs(roles, ("prediction",), table)
            for name in ("target", "prediction"):
                if (column := getattr(roles, name)) is not None:
                    require_finite(table, column, option=f"--{name}")
        case "ranking":
            _needs(roles, ("score",), table)
            require_finite(table, str(roles.score), option="--score")
            if not roles.top or min(roles.top) < 1:
                raise InputError("a top list of no records", where="--top", valid="10,100")
        case "counts":
            _needs(roles, ("total", "selected"), table)
            for name in ("total", "selected"):
                require_finite(table, str(getattr(roles, name)), option=f"--{name}")
        case "binary":
            pass  # Roles.check has seen to it


def check_data(table: Table, roles: Roles) -> None:
    """Check a table of a data set, which has labels and no predictions yet.

    Raises :class:`InputError` naming the option, the column and the number of rows.
    """
    if roles.task == "binary":
        roles.check(table)
        return
    table.require([*roles.sensitive], option="--sensitive")
    table.require([c for c in (roles.target, roles.record_id) if c is not None])
    for column in roles.bins:
        table.require_numbers(column, option="--bins")
    _needs(roles, ("target",), table)
    if roles.task == "multiclass":
        classes_of([table], roles)
    elif roles.task == "regression":
        require_finite(table, str(roles.target), option="--target")
    else:
        raise InputError(
            f"data sets are not audited for the task {roles.task}", where="--task",
            valid="binary, multiclass, regression",
        )  # fmt: skip


def classes_of(tables: Sequence[Table], roles: Roles) -> tuple[str, ...]:
    """Return the classes that target and prediction hold, sorted as numbers where they are.

    Raises :class:`InputError` where there are fewer than two, or more than 200.
    """
    found: set[str] = set()
    for table in tables:
        for column in (roles.target, roles.prediction):
            if column is None or column not in table.types:
                continue
            text = table.text(column)
            rows = table.query(
                f"select distinct {text} as v from data where {text} is not null "
                f"limit {MOST_CLASSES + 1}"
            ).to_pylist()
            found |= {row["v"] for row in rows}
    where = f"{tables[0].name}, columns {roles.target!r} and {roles.prediction!r}"
    if not 2 <= len(found) <= MOST_CLASSES:
        many = f"more than {MOST_CLASSES}" if len(found) > MOST_CLASSES else str(len(found))
        raise InputError(
            f"{many} classes in {tables[0].rows:,} rows", where=where,
            valid=f"2 to {MOST_CLASSES} classes, or --task regression",
        )  # fmt: skip
    return tuple(sorted(found, key=_as_number))


def require_finite(table: Table, column: str, *, option: str) -> None:
    """Raise :class:`InputError` unless the column holds finite numbers, missing ones beside."""
    table.require_numbers(column, option=option)
    number = table.number(column)
    row = table.query(
        f"select count({number}) as known, count(*) filter (isinf({number})) as inf from data"
    ).to_pylist()[0]
    where = f"{table.name}, column {column!r}"
    if not row["known"]:
        raise InputError(f"all {table.rows:,} values are missing", where=where, valid="numbers")
    if row["inf"]:
        raise InputError(f"{row['inf']:,} of {table.rows:,} values are infinite", where=where,
                         valid="finite numbers")  # fmt: skip


def _needs(roles: Roles, options: Sequence[str], table: Table) -> None:
    for option in options:
        if getattr(roles, option) is None:
            raise InputError(
                f"the task {roles.task} needs --{option}", where=table.name,
                valid=f"the column of the {option}",
            )  # fmt: skip


def _as_number(text: str) -> tuple[int, float, str]:
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text
