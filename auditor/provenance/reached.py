"""Which functions of the user's own code a function reaches, by the names that it looks up."""

from __future__ import annotations

import dis
import inspect
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

__all__ = ["MOST_FUNCTIONS", "function_in", "reached_functions"]

MOST_FUNCTIONS = 200
"""So many functions are followed; those beyond are no part of a digest."""


def reached_functions(
    function: FunctionType,
) -> tuple[list[tuple[str, FunctionType]], list[dict[str, int]]]:
    """Return the functions that one reaches, itself first, and who reaches whom by which name.

    A function is reached where a global name, or an attribute of a module behind one
    (``cleaning.drop``), is a function of the user's own code: Python code outside the folders in
    which the interpreter keeps its library and installed packages, and not of this package. Names
    are followed into the functions that they lead to, breadth first, up to
    :data:`MOST_FUNCTIONS`; the order is that of the names. Methods of classes, functions in
    containers and functions that are passed as arguments are not reached.
    """
    found: list[tuple[str, FunctionType]] = [(function.__name__, function)]
    places = {id(function): 0}
    edges: list[dict[str, int]] = []
    for _, one in found:  # it grows while it is read
        mine: dict[str, int] = {}
        for name, value in sorted(_looked_up(one), key=lambda item: item[0]):
            target = function_in(value)
            if target is None or not _own(target):
                continue
            if id(target) not in places:
                if len(found) == MOST_FUNCTIONS:
                    continue
                places[id(target)] = len(found)
                found.append((name, target))
            mine[name] = places[id(target)]
        edges.append(mine)
    return found, edges


def function_in(value: Any) -> FunctionType | None:
    """Return the function under a method, a decorator or an object that is called."""
    if isinstance(value, (type, ModuleType)):
        return None
    if not isinstance(value, (FunctionType, MethodType)) and not inspect.isbuiltin(value):
        # What a decorator made of a function, looked up without running an object's own code.
        known = getattr(value, "__dict__", {}).get("__wrapped__")
        value = known if callable(known) else vars(type(value)).get("__call__", value)
    try:
        value = inspect.unwrap(value.__func__ if isinstance(value, MethodType) else value)
    except ValueError:  # a wrapper that wraps itself
        return None
    return value if isinstance(value, FunctionType) else None


def _looked_up(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield the values behind the global names of a function, inner functions included."""
    space: dict[str, Any] = function.__globals__
    waiting: list[CodeType] = [function.__code__]
    seen: set[str] = set()
    while waiting:
        code = waiting.pop()
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        name, value = "", None
        for step in dis.get_instructions(code):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                name, value = str(step.argval), space.get(str(step.argval))
            elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and isinstance(value, ModuleType):
                name, value = f"{name}.{step.argval}", vars(value).get(str(step.argval))
            else:
                name, value = "", None
            if value is not None and not isinstance(value, ModuleType) and name not in seen:
                seen.add(name)
                yield name, value


def _own(function: FunctionType) -> bool:
    """Whether a function is the user's own code."""
    if (function.__module__ or "").partition(".")[0] == "auditor":
        return False
    file = function.__code__.co_filename
    if file.startswith("<frozen"):
        return False
    return not any(Path(file).is_relative_to(folder) for folder in _library())


@cache
def _library() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple({Path(sysconfig.get_path(name)) for name in names})
