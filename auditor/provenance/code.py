"""Which code it was: a digest of a function that comments and white space do not change."""

from __future__ import annotations

import ast
import hashlib
import inspect
import platform
import re
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Sized
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any, cast

from auditor.errors import InputError
from auditor.evidence import canonical_json, sha256
from auditor.provenance.lineage import Code

__all__ = ["AST_METHOD", "code_of", "parameters_of"]

AST_METHOD = "sha256-python-ast"
_UNREADABLE = "no-python-code"
_IGNORED = frozenset({"ctx", "type_comment", "kind", "decorator_list", "type_ignores"})


def code_of(function: Callable[..., Any]) -> Code:
    """Return the digest of a function's code, and what it captures.

    The digest is of the syntax tree of its source, without decorators, docstrings, comments and
    white space. Where the source cannot be had, or holds more than the function (a lambda), it is
    of the bytecode, whose method names the version of Python. Functions that it calls are no part
    of it, unless they are captured by its closure or its defaults.
    """
    return _code_of(function, 0)


def _code_of(function: Callable[..., Any], depth: int) -> Code:
    captured: dict[str, str] = {}
    while isinstance(function, partial):
        for position, value in enumerate(function.args):
            captured[f"argument {position}"] = _digest_of(value, depth)
        captured |= {f"argument {k}": _digest_of(v, depth) for k, v in function.keywords.items()}
        function = function.func
    plain: Any = function
    if not isinstance(plain, (FunctionType, MethodType)) and not inspect.isbuiltin(plain):
        plain = vars(type(plain)).get("__call__", plain)  # an object that is called
    plain = inspect.unwrap(plain.__func__ if isinstance(plain, MethodType) else plain)
    if not isinstance(plain, FunctionType):
        return Code(method=_UNREADABLE, captured=captured)
    captured |= dict(_captured(plain, depth))
    tree = _tree(plain)
    if tree is None:
        version = ".".join(platform.python_version_tuple()[:2])
        return Code(digest=_bytecode(plain.__code__), method=f"sha256-bytecode-python-{version}",
                    captured=captured)  # fmt: skip
    return Code(digest=sha256(canonical_json(tree)), method=AST_METHOD, captured=captured)


def _captured(function: FunctionType, depth: int) -> Iterator[tuple[str, str]]:
    """Yield what the function was made with: defaults, and the variables of its closure."""
    signature = inspect.signature(function)
    for name, parameter in signature.parameters.items():
        if parameter.default is not inspect.Parameter.empty:
            yield f"default {name}", _digest_of(parameter.default, depth)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f"closure {name}", _digest_of(cell.cell_contents, depth)
        except ValueError:  # a variable that was never set
            yield f"closure {name}", "unset"


def _digest_of(value: Any, depth: int) -> str:
    """Return the digest of a value; of functions that of their code; else the name of the type."""
    if callable(value) and not isinstance(value, type) and depth < 4:
        code = _code_of(value, depth + 1)
        if code.digest is not None:
            return code.digest
    try:
        return sha256(canonical_json(value))
    except (InputError, RecursionError, TypeError):
        return f"a {type(value).__qualname__}"[:200]


def _tree(function: FunctionType) -> Any:
    """Return the syntax tree as plain lists; ``None`` where it cannot be had."""
    if function.__name__ == "<lambda>":
        return None
    try:
        module = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, ValueError, RecursionError):
        return None
    (found,) = module.body if len(module.body) == 1 else (None,)
    if not isinstance(found, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return None
    try:
        return _plain(found)
    except RecursionError:
        return None


def _plain(node: Any) -> Any:
    """Write a node as its name and its fields; empty ones are left out, as versions differ."""
    if isinstance(node, ast.AST):
        fields: list[Any] = []
        for name, value in ast.iter_fields(node):
            if name in _IGNORED or value is None or value == []:
                continue
            if name == "body" and isinstance(value, list):
                value = _without_docstring(node, cast("list[Any]", value))
            fields.append([name, _plain(value)])
        return [type(node).__name__, fields]
    if isinstance(node, list):
        return [_plain(item) for item in cast("list[Any]", node)]
    return f"{type(node).__name__} {node!r}"


def _without_docstring(node: ast.AST, body: list[Any]) -> list[Any]:
    holds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    first = body[0] if body and isinstance(node, holds) else None
    text = first.value if isinstance(first, ast.Expr) else None
    if isinstance(text, ast.Constant) and isinstance(text.value, str):
        return body[1:]
    return body


def _bytecode(code: CodeType) -> str:
    """Return the digest of bytecode, names and constants, those of inner functions included."""
    digest = hashlib.sha256()
    waiting = [code]
    while waiting:
        part = waiting.pop()
        digest.update(len(part.co_code).to_bytes(8, "little") + part.co_code)
        for constant in part.co_consts:
            if isinstance(constant, CodeType):
                waiting.append(constant)
            else:
                text = repr(sorted(map(repr, cast("frozenset[Any]", constant)))) if isinstance(
                    constant, frozenset) else repr(constant)  # fmt: skip
                digest.update(f"{type(constant).__name__} {text}\0".encode())
        digest.update("\0".join((*part.co_names, *part.co_varnames)).encode())
    return f"sha256:{digest.hexdigest()}"


def parameters_of(arguments: Mapping[str, Any], *, columns: Collection[str] = ()) -> dict[str, Any]:
    """Return arguments as a record may keep them, which holds no lists of ids and no paths.

    Kept are numbers, truth values, and text of one word, of a path its last part; of a list or a
    mapping only how long it is, unless all it holds are names of ``columns``.
    """
    return {name[:200]: _parameter(value, columns) for name, value in arguments.items()}


def _parameter(value: Any, columns: Collection[str]) -> Any:
    if isinstance(value, (bool, int, float)) or value is None:
        try:
            canonical_json(value)
        except InputError:
            return {"type": type(value).__qualname__[:100]}
        return value
    if isinstance(value, str):
        last = re.split(r"[\\/]", value.rstrip("\\/"))[-1]
        return last if len(last) <= 40 and not re.search(r"\s", last) else {"length": len(value)}
    if isinstance(value, (list, tuple)):
        items = cast("Sequence[Any]", value)
        if all(isinstance(item, str) and item in columns for item in items):
            return list(items)
    kind = type(value).__qualname__[:100]
    return {"type": kind, "length": len(value)} if isinstance(value, Sized) else {"type": kind}
