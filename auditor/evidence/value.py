"""The base of every value that is written down: frozen, strict, canonical on disk."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Sized
from typing import Any, Self, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from auditor.errors import InputError

__all__ = ["Value", "explain_complaints", "explain_validation"]

_KIND = re.compile(
    r"(?:str|int|float|bool|date|(?:literal|tuple|list|dict|function|constrained).*)"
)
_LONG = 80
_WORDS = {
    "string_type": "a text", "int_": "a whole number", "float_": "a number",
    "bool_": "true or false", "tuple_type": "a list", "list_type": "a list",
    "model_": "a mapping", "dict_type": "a mapping", "mapping_type": "a mapping",
    "date_": "a day as 2027-03-31", "finite_number": "a finite number",
}  # fmt: skip


class Value(BaseModel):
    """A frozen pydantic model that refuses unknown fields, NaN and infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; fields that are ``None`` by default are left out."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def from_json(cls, document: Any, *, where: str | None = None) -> Self:
        """Read the JSON form; raises :class:`InputError` naming the field that is off."""
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise InputError(explain_validation(error), where=where) from None


def explain_validation(error: ValidationError) -> str:
    """Put pydantic's first complaint into one plain sentence."""
    place, what = explain_complaints(error.errors(include_url=False))
    return f"{place}: {what}" if place else what


def explain_complaints(complaints: Sequence[Any]) -> tuple[str, str]:
    """Return where pydantic's first complaint is (``a.b.0``), and what is wrong, in plain words.

    Of a value that may be of several kinds, all of them are named.
    """
    first = complaints[0]
    loc = _plain_place(first["loc"])
    place = ".".join(map(str, loc))
    context = first.get("ctx", {})
    if first["type"] == "missing":
        return ".".join(map(str, loc[:-1])), f"{str(loc[-1])!r} is missing"
    if first["type"] == "extra_forbidden":
        return ".".join(map(str, loc[:-1])), f"unknown key {str(loc[-1])!r}"
    if first["type"] in ("value_error", "assertion_error"):
        return place, str(context.get("error", first["msg"]))
    same = [one for one in complaints if _plain_place(one["loc"]) == loc]
    expected = list(dict.fromkeys(filter(None, map(_expected, same))))
    if not expected:
        return place, f"{first['msg'][:1].lower()}{first['msg'][1:]}"
    words, found = " or ".join(expected), _noun(first["input"])
    if len(words) > _LONG:
        return place, f"found {found}, expected {words}"
    return place, f"expected {words}, found {found}"


def _plain_place(loc: Sequence[Any]) -> tuple[Any, ...]:
    """Leave out at the end which of several kinds of value was tried."""
    parts = list(loc)
    while len(parts) > 1 and isinstance(parts[-1], str) and _KIND.fullmatch(parts[-1]):
        parts.pop()
    return tuple(parts)


def _expected(complaint: Any) -> str | None:
    """Say what would be valid in the place of one complaint."""
    kind, context = complaint["type"], complaint.get("ctx", {})
    for start, words in _WORDS.items():
        if kind.startswith(start):
            return words
    match kind:
        case "literal_error" | "enum":
            return str(context["expected"])
        case "greater_than_equal":
            return f"at least {_bound(context['ge'])}"
        case "greater_than":
            return f"more than {_bound(context['gt'])}"
        case "less_than_equal":
            return f"at most {_bound(context['le'])}"
        case "less_than":
            return f"less than {_bound(context['lt'])}"
        case "string_pattern_mismatch":
            return f"a text that fits {context['pattern']}"
        case "string_too_short":
            return f"a text of at least {context['min_length']} characters"
        case "string_too_long":
            return f"a text of at most {context['max_length']} characters"
        case "too_short":
            return f"a list of at least {context['min_length']}"
        case "too_long":
            return f"a list of at most {context['max_length']}"
        case _:
            return None


def _bound(limit: Any) -> str:
    return f"{limit:g}" if isinstance(limit, float) else str(limit)


def _noun(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple, set, frozenset)):
        size = len(cast("Sized", value))
        return f"a list of {size:,}" if size else "an empty list"
    if isinstance(value, (str, int, float)):
        text = repr(value)
        return text if len(text) <= 60 else f"{text[:59]}…"
    return f"a {type(value).__qualname__}"
