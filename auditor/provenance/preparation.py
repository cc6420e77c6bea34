"""Functions that prepare data, observed: what went in, what came out, and by which code."""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload, runtime_checkable

from auditor.errors import InputError
from auditor.provenance.code import code_of, parameters_of, words_of
from auditor.provenance.lineage import Data, Derivation, GroupRows, How

__all__ = ["Preparation", "Record", "TableDigest", "preparation"]

P = ParamSpec("P")
R = TypeVar("R")

Record = Callable[[dict[str, Any]], None]
"""Where the JSON of a :class:`Derivation` goes: one call for every call of the function."""

TableDigest = Callable[[Any], str]
"""A table → its digest, ``method:hex``; equal tables have equal digests."""

_SEEDS = ("seed", "random_state", "random_seed", "rng_seed")
_MOST_GROUPS = 200


@runtime_checkable
class _Columns(Protocol):
    """What a DataFrame and an Arrow table have in common."""

    @property
    def columns(self) -> Any: ...

    @property
    def shape(self) -> Any: ...


class Preparation(Generic[P, R]):
    """A function that does what it did, and whose every call is recorded.

    Parameters
    ----------
    function:
        Takes tables (pandas, polars, Arrow) among its arguments and returns a table, or several in
        a list, a tuple or a mapping.
    record, digest:
        Where steps go, and how tables are identified.
    name:
        What the step is called; the function's own name by default.
    groups:
        Columns by whose values rows are counted before and after, where the step takes one table.

    The value that it returns is the very object that the function returned, and what it raises
    passes through. Of the other arguments the record keeps what is nobody's: see
    :func:`~auditor.provenance.code.parameters_of`. What went in is identified before the call, so
    that a function may change its table in place. An error in the recording itself is recorded as
    the step's, and raises nothing.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        record: Record,
        digest: TableDigest,
        name: str | None = None,
        groups: Sequence[str] = (),
    ) -> None:
        self.function, self.record, self.digest = function, record, digest
        self.name = name or getattr(function, "__name__", type(function).__name__)
        self.groups = tuple(groups)
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function and record the step."""
        before = _observed(lambda: self._before(args, kwargs))
        try:
            result = self.function(*args, **kwargs)
        except BaseException as error:
            self._note(before, None, type(error).__name__)
            raise
        self._note(before, result, None)
        return result

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def _before(self, args: Any, kwargs: Any) -> _Before:
        arguments = _arguments(self.function, args, kwargs)
        tables = list(_tables(arguments))
        found = _data(tables, self.digest)
        plain = {k: v for k, v in arguments.items() if not any(_tables({k: v}))}
        seed = next((plain[k] for k in _SEEDS if type(plain.get(k)) is int), None)
        counted = {}
        if len(found) == 1:
            counted = {c: _counts(tables[0][1], c) for c in self.groups}
        columns = [c for _, table in tables for c in _names(table)]
        parameters = parameters_of(plain, words={*columns, *words_of(self.function)})
        return _Before(found, parameters, seed, counted, columns)

    def _note(self, before: _Before | str, result: Any, error: str | None) -> None:
        """Record the step; where that goes wrong, the step with the reason instead of its data."""
        made = before if isinstance(before, str) else _observed(
            lambda: self._step(before, result, error)
        )  # fmt: skip
        if isinstance(made, str):
            why = f"not recorded: {made}" if error is None else error
            made = Derivation(how=How(name=self.name[:200], error=why))
        self.record(made.to_json())

    def _step(self, before: _Before, result: Any, error: str | None) -> Derivation:
        tables = list(_tables({self.name: result})) if error is None else []
        outputs = _data(tables, self.digest)
        after_columns = [c for _, table in tables for c in _names(table)]
        gone = [] if error is not None else [c for c in before.columns if c not in after_columns]
        new = [c for c in after_columns if c not in before.columns]
        several = len(before.inputs) == 1 and len(outputs) > 1
        groups: dict[str, tuple[GroupRows, ...]] = {}
        for column, counts in before.groups.items() if outputs else ():
            if counts is not None:
                parts = [_counts(table, column) for _, table in tables]
                if all(part is not None for part in parts):
                    groups[column] = _compared(counts, [part or {} for part in parts])
        how = How(
            name=self.name[:200], kind="split" if several else "transform",
            code=code_of(self.function), parameters=before.parameters, seed=before.seed,
            groups=groups, columns_added=tuple(dict.fromkeys(c[:200] for c in new)),
            columns_removed=tuple(dict.fromkeys(c[:200] for c in gone)), error=error,
        )  # fmt: skip
        return Derivation(inputs=before.inputs, outputs=outputs, how=how)


class _Before:
    """What is known of a call before it is made."""

    def __init__(
        self,
        inputs: tuple[Data, ...],
        parameters: dict[str, Any],
        seed: int | None,
        groups: Mapping[str, Mapping[str | None, int] | None],
        columns: list[str],
    ) -> None:
        self.inputs, self.parameters, self.seed = inputs, parameters, seed
        self.groups, self.columns = groups, columns


@overload
def preparation(
    function: Callable[P, R], *, record: Record, digest: TableDigest, name: str | None = None,
    groups: Sequence[str] = (),
) -> Preparation[P, R]: ...  # fmt: skip
@overload
def preparation(
    function: None = None, *, record: Record, digest: TableDigest, name: str | None = None,
    groups: Sequence[str] = (),
) -> Callable[[Callable[P, R]], Preparation[P, R]]: ...  # fmt: skip
def preparation(
    function: Callable[..., Any] | None = None,
    *,
    record: Record,
    digest: TableDigest,
    name: str | None = None,
    groups: Sequence[str] = (),
) -> Any:
    """Observe a function that prepares data; with keyword arguments only, a decorator.

    See :class:`Preparation`.
    """
    if function is None:
        return functools.partial(
            preparation, record=record, digest=digest, name=name, groups=tuple(groups)
        )
    if not callable(function):
        raise InputError(f"{function!r} is no function", where="preparation")
    return Preparation(function, record=record, digest=digest, name=name, groups=groups)


T = TypeVar("T")


def _observed(look: Callable[[], T]) -> T | str:
    """Look without ever raising: return what was found, or the name of the error."""
    try:
        return look()
    except Exception as error:  # noqa: BLE001 -- observing must not break the preparation
        return type(error).__name__


def _arguments(function: Callable[..., Any], args: Any, kwargs: Any) -> dict[str, Any]:
    """Return the arguments by name, defaults filled in."""
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return {**{f"argument {i}": value for i, value in enumerate(args)}, **kwargs}
    bound.apply_defaults()
    return dict(bound.arguments)


def _is_table(value: Any) -> bool:
    shape = getattr(value, "shape", None) if isinstance(value, _Columns) else None
    return isinstance(shape, tuple) and len(cast("Any", shape)) == 2


def _tables(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the tables among values, by name: a table, or a list or a mapping of tables."""
    for name, value in values.items():
        if _is_table(value):
            yield name, value
        elif isinstance(value, Mapping):
            items = cast("Mapping[Any, Any]", value).items()
            yield from ((str(key), item) for key, item in items if _is_table(item))
        elif isinstance(value, (list, tuple)):
            items = cast("Sequence[Any]", value)
            for position, item in enumerate(items):
                if _is_table(item):
                    yield f"{name}[{position}]", item


def _data(tables: Sequence[tuple[str, Any]], digest: TableDigest) -> tuple[Data, ...]:
    """Identify tables; equal ones are the same data, once."""
    found: dict[str, Data] = {}
    for name, table in tables:
        identifier = digest(table)
        found.setdefault(identifier, Data(id=identifier, name=name[:200], rows=int(table.shape[0])))
    return tuple(found.values())


def _names(table: Any) -> list[str]:
    # The columns of an Arrow table are data; their names are elsewhere.
    return [str(name) for name in getattr(table, "column_names", None) or table.columns]


def _counts(table: Any, column: str) -> dict[str | None, int] | None:
    """Count the rows by the values of a column; ``None`` where it is not there or has too many."""
    if column not in _names(table):
        return None
    values = table[column]
    listed: list[Any] = values.to_pylist() if hasattr(values, "to_pylist") else list(values)
    counts = Counter(map(_label, listed))
    return dict(counts) if len(counts) <= _MOST_GROUPS else None


def _label(value: Any) -> str | None:
    if value is None or value != value:
        return None
    text = "true" if value is True else "false" if value is False else str(value)
    return None if text in {"<NA>", "NaT"} and not isinstance(value, str) else text[:200]


def _compared(
    before: Mapping[str | None, int], after: Sequence[Mapping[str | None, int]]
) -> tuple[GroupRows, ...]:
    """Put the counts before beside the sum of those after, in the order of values."""
    values = {*before, *(value for part in after for value in part)}
    return tuple(
        GroupRows(value=value, before=before.get(value, 0),
                  after=sum(part.get(value, 0) for part in after))
        for value in sorted(values, key=lambda value: (value is None, value or ""))
    )  # fmt: skip
