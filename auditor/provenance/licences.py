"""Licences of data: SPDX expressions read, and held against what they are to be used for.

This is a table of what licences say in their own words, for the common case; it is no legal
advice. What the table does not know is unknown, and never counts as allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from auditor.errors import InputError, nearest
from auditor.provenance.licence_terms import GROUPS, USES, licence_terms

__all__ = [
    "AllOf",
    "AnyOf",
    "Expression",
    "Licence",
    "check_allowed",
    "licence_from_text",
    "permitted",
    "read_expression",
]

_MOST_CHARACTERS = 1_000
_VALID = "an SPDX expression, as CC-BY-4.0, MIT OR Apache-2.0, or LicenseRef-in-house"


@dataclass(frozen=True, slots=True)
class Licence:
    """One licence; ``or_later`` is the ``+`` behind it, ``exception`` what follows ``WITH``."""

    id: str
    or_later: bool = False
    exception: str | None = None

    def __str__(self) -> str:
        text = f"{self.id}+" if self.or_later else self.id
        return text if self.exception is None else f"{text} WITH {self.exception}"


@dataclass(frozen=True, slots=True)
class AllOf:
    """Licences that must all be kept (``AND``)."""

    parts: tuple[Expression, ...]

    def __str__(self) -> str:
        return " AND ".join(
            f"({part})" if isinstance(part, AnyOf) else str(part) for part in self.parts
        )


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Licences of which one is chosen (``OR``)."""

    parts: tuple[Expression, ...]

    def __str__(self) -> str:
        return " OR ".join(str(part) for part in self.parts)


Expression = Licence | AllOf | AnyOf


def read_expression(text: str, *, where: str | None = None) -> Expression:
    """Read an SPDX licence expression; ``AND`` binds tighter than ``OR``.

    Ids are held against the SPDX list and written as it writes them. Raises :class:`InputError`.
    SPDX 3.0, annex "SPDX license expressions".

    >>> str(read_expression("mit or (apache-2.0 and cc-by-4.0)"))
    'MIT OR Apache-2.0 AND CC-BY-4.0'
    """
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    if len(text) > _MOST_CHARACTERS:
        raise InputError(f"a licence of {len(text):,} characters", where=where, valid=_VALID)
    try:
        canonical = str(canonicalize_license_expression(text))
    except (InvalidLicenseExpression, ValueError, MemoryError, RecursionError) as error:
        raise InputError(f"no licence: {error}", where=where, valid=_VALID) from None
    tokens = canonical.replace("(", " ( ").replace(")", " ) ").split()
    reader = _Reader(tokens, where)
    expression = reader.any_of(0)
    if reader.position != len(tokens):
        raise InputError(f"no licence: {text!r}", where=where, valid=_VALID)
    return expression


class _Reader:
    """Recursive descent over the tokens of an expression; parentheses nest 32 deep at most."""

    def __init__(self, tokens: Sequence[str], where: str | None) -> None:
        self.tokens, self.where, self.position = tokens, where, 0

    def any_of(self, depth: int) -> Expression:
        return self._joined("OR", depth)

    def _joined(self, word: Literal["AND", "OR"], depth: int) -> Expression:
        """Read parts joined by one operator; nested parts of the same operator become one."""
        parts: list[Expression] = []
        kind = AnyOf if word == "OR" else AllOf
        while True:
            part = self._joined("AND", depth) if word == "OR" else self._one(depth)
            parts += part.parts if isinstance(part, kind) else (part,)
            if self._peek() != word:
                break
            self.position += 1
        distinct = tuple(dict.fromkeys(parts))
        return distinct[0] if len(distinct) == 1 else kind(distinct)

    def _one(self, depth: int) -> Expression:
        token = self._peek()
        if token is None or depth > 32:
            what = "no licence: it ends too early" if token is None else "no licence: too nested"
            raise InputError(what, where=self.where, valid=_VALID)
        self.position += 1
        if token == "(":
            inside = self.any_of(depth + 1)
            self.position += 1  # the bracket that closes: brackets were counted before
            return inside
        exception = None
        if self._peek() == "WITH":
            exception = self.tokens[self.position + 1]
            self.position += 2
        return Licence(token.removesuffix("+"), token.endswith("+"), exception)

    def _peek(self) -> str | None:
        return self.tokens[self.position] if self.position < len(self.tokens) else None


def check_allowed(
    licences: Sequence[str], uses: Sequence[str], *, where: str | None = None
) -> None:
    """Check what a policy allows: ids or groups of licences, and uses; raises InputError."""
    for use in uses:
        if use not in USES:
            raise InputError(f"{use!r} is no use of data", where=where, valid=nearest(use, USES))
    for name in licences:
        if name in GROUPS:
            continue
        try:
            expression = read_expression(name, where=where)
        except InputError:
            raise InputError(
                f"{name!r} is neither an SPDX licence nor a group of licences", where=where,
                valid=nearest(name, GROUPS),
            ) from None  # fmt: skip
        if not isinstance(expression, Licence):
            raise InputError(
                f"{name!r} is more than one licence", where=where, valid="one licence an entry"
            )


def permitted(
    expression: Expression, *, licences: Sequence[str] = (), uses: Sequence[str] = ()
) -> bool | None:
    """Say whether an expression is among the licences allowed and allows the uses asked for.

    ``None`` is unknown: a licence that the table does not know. Of ``OR`` any part suffices, of
    ``AND`` all must hold, in Kleene's three-valued logic. Nothing asked for is allowed by all.

    >>> permitted(read_expression("GPL-3.0-only OR MIT"), licences=["permissive"])
    True
    >>> permitted(read_expression("CC-BY-NC-4.0"), uses=["commercial"])
    False
    >>> permitted(read_expression("LicenseRef-ours"), uses=["commercial"]) is None
    True
    """
    if isinstance(expression, Licence):
        return all_of((_listed(expression, licences), _usable(expression, uses)))
    answers = [permitted(part, licences=licences, uses=uses) for part in expression.parts]
    return all_of(answers) if isinstance(expression, AllOf) else any_of(answers)


def all_of(answers: Sequence[bool | None]) -> bool | None:
    """Join by ``and``: one no decides, else one unknown."""
    return False if False in answers else None if None in answers else True


def any_of(answers: Sequence[bool | None]) -> bool | None:
    """Join by ``or``: one yes decides, else one unknown."""
    return True if True in answers else None if None in answers else False


def _listed(licence: Licence, allowed: Sequence[str]) -> bool | None:
    if not allowed:
        return True
    groups = {name for name in allowed if name in GROUPS}
    for name in allowed:
        if name not in groups:
            listed = read_expression(name)
            if isinstance(listed, Licence) and _covers(listed, licence):
                return True
    if not groups:
        return False
    terms = licence_terms(licence.id)
    if terms is None:
        return None
    if "permissive" in groups:
        groups.add("public-domain")
    return terms.groups <= groups


def _usable(licence: Licence, uses: Sequence[str]) -> bool | None:
    if not uses:
        return True
    terms = licence_terms(licence.id)
    return None if terms is None else set(uses) <= terms.uses


def _covers(listed: Licence, licence: Licence) -> bool:
    """Say whether who may take the licence may take it as the listed one.

    An exception only adds permissions, so that a licence is allowed with any where it is allowed
    without; where one is listed with an exception, only so. ``or later`` may be taken as any later
    version.
    """
    if listed.exception is not None and listed.exception != licence.exception:
        return False
    if listed.id == licence.id and listed.or_later <= licence.or_later:
        return True
    ours, theirs = _version(listed), _version(licence)
    if ours is None or theirs is None or ours[0] != theirs[0]:
        return False
    (_, mine, mine_later), (_, its, its_later) = ours, theirs
    return its <= mine if its_later else its == mine and not mine_later


def _version(licence: Licence) -> tuple[str, tuple[int, ...], bool] | None:
    """Split an id into its family, its version, and whether later ones are meant as well."""
    found = re.fullmatch(r"(.+?)-(\d+(?:\.\d+)*)(-only|-or-later)?", licence.id)
    if found is None:
        return None
    numbers = tuple(int(part) for part in found[2].split("."))
    return found[1], numbers, licence.or_later or found[3] == "-or-later"


_ADDRESSES = (
    (re.compile(r"spdx\.org/licenses/([A-Za-z0-9.+-]+?)(?:\.html|\.json|\.txt)?"), "{0}"),
    (re.compile(r"creativecommons\.org/publicdomain/zero/1\.0(?:/.*)?"), "CC0-1.0"),
    (re.compile(r"creativecommons\.org/publicdomain/mark/1\.0(?:/.*)?"), "CC-PDM-1.0"),
    (re.compile(r"creativecommons\.org/licenses/([a-z-]+)/(\d\.\d)(?:/(?:deed|legalcode).*)?"),
     "CC-{0}-{1}"),
    (re.compile(r"opensource\.org/licenses?/([A-Za-z0-9.-]+?)(?:\.php)?"), "{0}"),
    (re.compile(r"apache\.org/licenses/LICENSE-2\.0(?:\.html|\.txt)?"), "Apache-2.0"),
    (re.compile(r"opendatacommons\.org/licenses/odbl(?:/.*)?"), "ODbL-1.0"),
    (re.compile(r"opendatacommons\.org/licenses/by(?:/.*)?"), "ODC-By-1.0"),
    (re.compile(r"opendatacommons\.org/licenses/pddl(?:/.*)?"), "PDDL-1.0"),
    (re.compile(r"cdla\.(?:io|dev)/permissive-(\d)-0"), "CDLA-Permissive-{0}.0"),
)  # fmt: skip


def licence_from_text(text: str) -> str | None:
    """Return the SPDX expression that an address or a name stands for; ``None`` if it is unknown.

    >>> licence_from_text("https://creativecommons.org/licenses/by-sa/4.0/")
    'CC-BY-SA-4.0'
    >>> licence_from_text("see the README") is None
    True
    """
    for candidate in _candidates(text.strip()):
        try:
            return str(read_expression(candidate))
        except InputError:
            continue
    return None


def _candidates(text: str) -> Iterator[str]:
    if len(text) > _MOST_CHARACTERS:
        return
    address = re.sub(r"^https?://(www\.)?", "", text).rstrip("/")
    for pattern, form in _ADDRESSES:
        if (found := pattern.fullmatch(address)) is not None:
            yield form.format(*(part.upper() for part in found.groups()))
    yield text
