"""Keyword arguments of an audit: what each column is for, read from what the user wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, get_args

from auditor.datasets import Roles
from auditor.datasets.roles import Task
from auditor.errors import InputError, nearest
from auditor.stats import as_label

__all__ = [
    "as_names",
    "label_of",
    "merged_roles",
    "role_changes",
    "roles_for",
    "settings_of",
    "task_named",
]

_TASKS = get_args(Task)
_ARGUMENTS = (*(field.name for field in fields(Roles)), "intersections")
_ALWAYS = ("threshold", "positive", "sensitive", "bins")


def as_names(values: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return column names from a list or from ``"sex,race"``."""
    if values is None:
        return ()
    if isinstance(values, str):
        values = values.split(",")
    return tuple(name.strip() for name in values if name.strip())


def label_of(value: Any) -> str | None:
    """Return a label as a table writes it."""
    return None if value is None else as_label(value)


def role_changes(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the roles that keyword arguments give; raises :class:`InputError` for another name."""
    for name in given:
        if name not in _ARGUMENTS:
            raise InputError(f"unknown argument {name!r}", valid=nearest(name, _ARGUMENTS))
    changes = {k: v for k, v in given.items() if k != "intersections" and v is not None}
    for name, read in (
        ("sensitive", as_names), ("strata", as_names), ("positive", label_of),
        ("top", _lengths),
    ):  # fmt: skip
        if name in changes:
            changes[name] = read(changes[name])
    task_named(changes.get("task", "binary"))
    return changes


def task_named(name: str) -> Task:
    """Return a task by its name; raises :class:`InputError`."""
    for task in _TASKS:
        if task == name:
            return task
    raise InputError(f"unknown task {name!r}", where="--task", valid=", ".join(_TASKS))


def merged_roles(roles: Roles, changes: Mapping[str, Any]) -> Roles:
    """Return roles with the given fields replaced; ``None`` leaves a field as it is."""
    return replace(roles, **{k: v for k, v in changes.items() if v is not None})


def roles_for(table: str, roles: Roles, given: Mapping[str, Any]) -> Roles:
    """Return the roles of a table of predictions; raises :class:`InputError` where some lack."""
    merged = merged_roles(roles, role_changes(given))
    if not merged.sensitive and not merged.membership:
        raise InputError("no sensitive attribute was named", where="sensitive=",
                         valid="one or more columns")  # fmt: skip
    if merged.prediction is None and merged.score is None and merged.task != "counts":
        raise InputError("neither predictions nor scores were named", where=table,
                         valid="prediction= or score=")  # fmt: skip
    return merged


def settings_of(roles: Roles, intersections: int) -> dict[str, Any]:
    """Return what the record keeps of how a table was read: all that is not as by default."""
    plain = Roles()
    changed = {
        field.name: getattr(roles, field.name)
        for field in fields(roles)
        if field.name in _ALWAYS or getattr(roles, field.name) != getattr(plain, field.name)
    }
    settings = {**changed, **roles.context(), "intersections": intersections}
    return {name: _plain(value) for name, value in settings.items()}


def _lengths(values: Sequence[Any]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (tuple, list)) else value
