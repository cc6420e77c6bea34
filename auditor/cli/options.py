"""Options that several commands share, and how their text is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from auditor.errors import InputError

__all__ = [
    "Bins",
    "Intersections",
    "Json",
    "Key",
    "Out",
    "Policy",
    "Positive",
    "Reference",
    "Sensitive",
    "read_bins",
    "read_membership",
    "read_named",
    "read_reference",
    "read_top",
]

Sensitive = Annotated[
    str, typer.Option("--sensitive", help="Columns of sensitive attributes, as in race,sex.")
]
Positive = Annotated[
    str | None,
    typer.Option("--positive", help="The value that counts as positive, where it is not 1."),
]
Bins = Annotated[
    list[str] | None,
    typer.Option("--bins", help="Cut a number into groups: age=25,45,65. May be repeated."),
]
Intersections = Annotated[
    int, typer.Option("--intersections", help="Cross up to so many attributes.", min=1)
]
Reference = Annotated[
    list[str] | None,
    typer.Option(
        "--reference",
        help="Compare with: largest (default), best, rest, or a group such as race=White; "
        "once for each attribute.",
    ),
]
Policy = Annotated[
    str | None, typer.Option("--policy", help="A policy file, or the id of a bundled one.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="The run folder to write; it must not exist, or be empty."),
]
Key = Annotated[
    Path | None,
    typer.Option("--sign-key", help="Sign with this key (or AUDITOR_KEY); see auditor keys."),
]
Json = Annotated[bool, typer.Option("--json", help="Print machine-readable JSON on stdout.")]


def read_bins(given: Sequence[str] | None) -> dict[str, list[float]]:
    """Read ``age=25,45,65``; raises :class:`InputError`."""
    bins: dict[str, list[float]] = {}
    for text in given or ():
        name, equals, edges = text.partition("=")
        try:
            bins[name] = [float(edge) for edge in edges.split(",")]
        except ValueError:
            equals = ""
        if not equals or not name:
            raise InputError(f"{text!r} are no bins", where="--bins", valid="age=25,45,65")
    return bins


def read_named(given: Sequence[str] | None, *, option: str) -> dict[str, str]:
    """Read ``NAME=FILE``, once for each name; raises :class:`InputError`.

    >>> read_named(["gsm8k=test.jsonl"], option="--benchmark")
    {'gsm8k': 'test.jsonl'}
    """
    found: dict[str, str] = {}
    for text in given or ():
        name, _, path = text.partition("=")
        if not name or not path or name in found:
            raise InputError(f"{text!r} names no file", where=option, valid="NAME=FILE")
        found[name] = path
    return found


def read_top(given: str | None) -> tuple[int, ...] | None:
    """Read ``10,100``; raises :class:`InputError`."""
    if given is None:
        return None
    try:
        lengths = tuple(int(text) for text in given.split(","))
    except ValueError:
        lengths = ()
    if not lengths or min(lengths) < 1:
        raise InputError(f"{given!r} are no lengths", where="--top", valid="10,100")
    return lengths


def read_membership(given: Sequence[str] | None) -> dict[str, dict[str, str]]:
    """Read ``race=White:p_white,Black:p_black``; raises :class:`InputError`."""
    found: dict[str, dict[str, str]] = {}
    for text in given or ():
        name, equals, rest = text.partition("=")
        levels = dict(part.split(":", 1) for part in rest.split(",") if ":" in part)
        if not name or not equals or len(levels) != len(rest.split(",")) or len(levels) < 2:
            raise InputError(f"{text!r} are no probabilities", where="--membership",
                             valid="race=White:p_white,Black:p_black")  # fmt: skip
        found[name] = levels
    return found


def read_reference(
    given: Sequence[str] | None, sensitive: Sequence[str]
) -> Literal["largest", "best", "rest"] | Mapping[str, str]:
    """Read ``largest``, ``best``, ``rest`` or ``race=White``; raises :class:`InputError`."""
    if not given:
        return "largest"
    if len(given) == 1 and given[0] in ("largest", "best", "rest"):
        return given[0]  # type: ignore[return-value]
    groups: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in sensitive:
            raise InputError(
                f"{text!r} is no reference", where="--reference",
                valid="largest, best, rest, or a group such as "
                + (f"{sensitive[0]}=VALUE" if sensitive else "race=White"),
            )  # fmt: skip
        groups[name] = value
    return groups


def exit_code(status: Any) -> int:
    """Return the exit code of a verdict: 0 pass or none, 1 fail or error, 3 otherwise."""
    if status is None or str(status) in ("pass", "waived"):
        return 0
    return 1 if str(status) in ("fail", "error") else 3
