"""Which code it was: a digest of a function that comments and white space do not change."""

from __future__ import annotations

import ast
import hashlib
import inspect
import platform
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Sized
from enum import Enum
from functools import partial
from types import CodeType, FunctionType
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from auditor.errors import InputError
from auditor.evidence import canonical_json, sha256
from auditor.provenance.lineage import Code
from auditor.provenance.reached import function_in, reached_functions

__all__ = ["AST_METHOD", "code_of", "parameters_of", "words_of"]

AST_METHOD = "sha256-python-ast"
_UNREADABLE = "no-python-code"
_IGNORED = frozenset({"ctx", "type_comment", "kind", "decorator_list", "type_ignores"})


def code_of(function: Callable[..., Any]) -> Code:
    """Return the digest of a function's code, and what it captures.

    The digest is of the syntax tree of its source, without decorators, docstrings, comments and
    white space. Where the source cannot be had, or holds more than the function (a lambda), it is
    of the bytecode, whose method names the version of Python.

    Functions of the user's own code that it reaches by global names (``clean``, ``module.clean``)
    are part of the digest, and so are those that they reach, up to 200 together; ``captured`` has
    the digest of each (``calls clean``). Functions of its closure and its defaults are captured
    with what they reach. Not covered: methods of classes, functions that it gets as arguments or
    finds in containers, values of global names, and installed packages, whose digests are in the
    manifest of packages.

    Of a value of a closure or of a partial the digest is kept only where nobody could be found by
    guessing it: of numbers, truth values and words that the function itself names.
    """
    return _code_of(function, 0)


def _code_of(function: Callable[..., Any], depth: int) -> Code:
    bound: dict[str, Any] = {}
    while isinstance(function, partial):
        bound |= {f"argument {at}": value for at, value in enumerate(function.args)}
        bound |= {f"argument {name}": value for name, value in function.keywords.items()}
        function = function.func
    plain = function_in(function)
    words = words_of(function)
    captured = {name: _digest_of(value, depth, words) for name, value in bound.items()}
    if plain is None:
        return Code(method=_UNREADABLE, captured=captured)
    captured |= dict(_captured(plain, depth, words))
    reached, edges = reached_functions(plain)
    nodes: list[Any] = []
    compiled = False
    for name, one in reached:
        tree = _tree(one)
        compiled |= tree is None
        nodes.append(_bytecode(one.__code__) if tree is None else tree)
        if one is not plain:
            digest = nodes[-1] if tree is None else sha256(canonical_json(tree))
            place, again = f"calls {name}"[:190], 1
            while place in captured:
                place, again = f"{f'calls {name}'[:190]} {again + 1}", again + 1
            captured[place] = digest
    method = AST_METHOD
    if compiled:
        method = f"sha256-bytecode-python-{'.'.join(platform.python_version_tuple()[:2])}"
    if len(nodes) > 1:
        return Code(digest=sha256(canonical_json([nodes, edges])), method=f"{method}-reached",
                    captured=captured)  # fmt: skip
    digest = nodes[0] if compiled else sha256(canonical_json(nodes[0]))
    return Code(digest=digest, method=method, captured=captured)


def words_of(function: Callable[..., Any]) -> frozenset[str]:
    """Return the words that a function itself names: in its code, its defaults, its ``Literal``s.

    They are the programmer's, and so name no record of the data.
    """
    while isinstance(function, partial):
        function = function.func
    plain = function_in(function)
    if plain is None:
        return frozenset()
    found: set[str] = set()
    waiting: list[Any] = [plain.__code__, plain.__defaults__, plain.__kwdefaults__]
    waiting += _annotations(plain)
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            found.add(value)
        elif isinstance(value, CodeType):
            waiting += value.co_consts
        elif isinstance(value, dict):
            waiting += cast("dict[Any, Any]", value).values()
        elif isinstance(value, (tuple, list, frozenset, set)):
            waiting += cast("Sequence[Any]", value)
    return frozenset(found)


def _annotations(function: FunctionType) -> list[Any]:
    """Return the values that the types of the arguments name, where these can be looked up."""
    try:
        hints = get_type_hints(function)
    except Exception:  # noqa: BLE001 -- annotations may hold anything, and names that are not there
        return []
    found: list[Any] = []
    waiting: list[Any] = list(hints.values())
    while waiting:
        hint = waiting.pop()
        if get_origin(hint) is Literal:
            found += get_args(hint)
        else:
            waiting += [one for one in get_args(hint) if not isinstance(one, list)]
    return found


def _captured(
    function: FunctionType, depth: int, words: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield what the function was made with: defaults, and the variables of its closure."""
    signature = inspect.signature(function)
    for name, parameter in signature.parameters.items():
        if parameter.default is not inspect.Parameter.empty:
            yield f"default {name}", _digest_of(parameter.default, depth, words)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f"closure {name}", _digest_of(cell.cell_contents, depth, words)
        except ValueError:  # a variable that was never set
            yield f"closure {name}", "unset"


def _digest_of(value: Any, depth: int, words: Collection[str]) -> str:
    """Return the digest of a value; of functions that of their code; else the name of the type."""
    if callable(value) and not isinstance(value, type) and depth < 4:
        code = _code_of(value, depth + 1)
        if code.digest is not None:
            return code.digest
    try:
        if _named_by_code(value, words):
            return sha256(canonical_json(value))
    except (InputError, RecursionError, TypeError):
        pass
    return f"a {type(value).__qualname__}"[:200]


def _named_by_code(value: Any, words: Collection[str]) -> bool:
    """Whether a value holds nothing but numbers, truth values and words of the code."""
    if isinstance(value, str):
        return value in words
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return all(_named_by_code(part, words) for item in items for part in item)
    if isinstance(value, (list, tuple)):
        return all(_named_by_code(part, words) for part in cast("Sequence[Any]", value))
    return value is None or isinstance(value, (bool, int, float))


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


def parameters_of(arguments: Mapping[str, Any], *, words: Collection[str] = ()) -> dict[str, Any]:
    """Return arguments as a record may keep them: no ids, no names of people, no paths.

    Kept are numbers, truth values, members of enumerations, and text that is one of ``words``: a
    name of a column, or a word that the function itself names (see :func:`words_of`). Of any other
    text, list or mapping only the length is kept. A number is kept even if it is somebody's: an id
    that is a number goes into a list, or into a table.
    """
    return {name[:200]: _parameter(value, words) for name, value in arguments.items()}


def _parameter(value: Any, words: Collection[str]) -> Any:
    if isinstance(value, Enum):
        return value.name[:200]
    if isinstance(value, (bool, int, float)) or value is None:
        try:
            canonical_json(value)
        except InputError:
            return {"type": type(value).__qualname__[:100]}
        return value
    if isinstance(value, str):
        return value if value in words and len(value) <= 200 else {"length": len(value)}
    if isinstance(value, (list, tuple)):
        items = cast("Sequence[Any]", value)
        if all(isinstance(item, str) and item in words for item in items):
            return list(items)
    kind = type(value).__qualname__[:100]
    return {"type": kind, "length": len(value)} if isinstance(value, Sized) else {"type": kind}
