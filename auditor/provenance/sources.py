"""Where data come from and what may be done with them, as far as anybody has said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import ConfigDict, Field, field_validator, model_validator

from auditor.errors import InputError, nearest
from auditor.evidence import Value
from auditor.provenance.declarations import read_bytes, read_json_text, read_yaml
from auditor.provenance.licences import read_expression

__all__ = [
    "SOURCES_SCHEMA",
    "LegalBasis",
    "OptOuts",
    "Period",
    "Source",
    "SpecialCategory",
    "given_sources",
    "read_sources",
    "sources_body",
    "sources_from_body",
]

SOURCES_SCHEMA = "auditor/sources/v1"
_MOST_SOURCES = 10_000

LegalBasis = Literal[
    "consent", "contract", "legal-obligation", "vital-interests", "public-task",
    "legitimate-interests", "explicit-consent", "employment-and-social-security",
    "not-for-profit-body", "made-public-by-the-person", "legal-claims",
    "substantial-public-interest", "health-care", "public-health", "research-and-statistics",
    "none-needed",
]  # fmt: skip
"""On what the processing of personal data rests: Regulation (EU) 2016/679, article 6(1)(a) to (f),
then article 9(2)(a), (b), (d) to (j); ``vital-interests`` stands for 9(2)(c) as well."""

_ARTICLE_6 = frozenset(
    {"consent", "contract", "legal-obligation", "vital-interests", "public-task",
     "legitimate-interests", "explicit-consent"}
)  # fmt: skip
_ARTICLE_9 = frozenset(
    {"explicit-consent", "employment-and-social-security", "vital-interests",
     "not-for-profit-body", "made-public-by-the-person", "legal-claims",
     "substantial-public-interest", "health-care", "public-health", "research-and-statistics"}
)  # fmt: skip

SpecialCategory = Literal[
    "racial-or-ethnic-origin", "political-opinions", "religious-or-philosophical-beliefs",
    "trade-union-membership", "genetic", "biometric", "health", "sex-life-or-orientation",
    "criminal-convictions",
]  # fmt: skip
"""Article 9(1) of the same regulation, and criminal convictions and offences of article 10."""

_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Text = Annotated[str, Field(min_length=1, max_length=2_000)]
_Count = Annotated[int, Field(ge=0, lt=1 << 53)]
_Language = Annotated[str, Field(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$", max_length=35)]
_Split = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_Digest = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}:[0-9a-f]{32,128}$")]


class Period(Value):
    """From when to when: years, months or days, as ``1994``, ``1994-05`` or ``1994-05-31``."""

    model_config = ConfigDict(populate_by_name=True)

    start: str | None = Field(default=None, alias="from")
    end: str | None = Field(default=None, alias="to")

    @field_validator("start", "end", mode="before")
    @classmethod
    def _day(cls, value: Any) -> Any:
        if value is None or value == "unknown":
            return None
        if isinstance(value, date):
            return value.isoformat()[:10]
        text = f"{value:04d}" if type(value) is int and value > 0 else value
        if not isinstance(text, str) or not re.fullmatch(r"\d{4}(-\d\d){0,2}", text):
            raise ValueError(f"{value!r} is no year, month or day, as 1994, 1994-05 or 1994-05-31")
        try:
            date.fromisoformat(f"{text}-01-01"[:10])
        except ValueError:
            raise ValueError(f"{text!r} is no day of the calendar") from None
        return text

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.start is not None and self.end is not None:
            shared = min(len(self.start), len(self.end))
            if self.start[:shared] > self.end[:shared]:
                raise ValueError(f"it begins in {self.start} and ends before that, in {self.end}")
        return self


class OptOuts(Value):
    """Whether reservations of rights and objections were honoured, and how."""

    honoured: bool | None = None
    how: _Text | None = None


class Source(Value):
    """A source of data. Every field but the name may be unknown, and is then ``None``.

    Parameters
    ----------
    licence:
        An SPDX expression; ``AND``, ``OR``, ``WITH`` and ``LicenseRef-…`` are understood.
    origin:
        Where the data come from: an address, or words.
    collected:
        From when to when.
    consent:
        On what processing rests; an empty tuple is no basis, ``none-needed`` is for data that are
        nobody's.
    synthetic, generator:
        Whether the data were generated, and by what.
    opt_outs:
        Whether those who did not want their data used were left out.
    personal, special_categories:
        Whether there are personal data, and of which special categories; an empty tuple is none.
    rows, tokens:
        How much of it there is.
    digest:
        The digest of the data, ``method:hex``.
    used_for:
        The splits that it went into; an empty tuple is none.

    The word ``unknown`` may stand for any unknown value.
    """

    name: _Name
    description: _Text | None = None
    licence: str | None = None
    origin: _Text | None = None
    collected: Period | None = None
    consent: tuple[LegalBasis, ...] | None = None
    synthetic: bool | None = None
    generator: _Name | None = None
    opt_outs: OptOuts | None = None
    personal: bool | None = None
    special_categories: tuple[SpecialCategory, ...] | None = None
    languages: tuple[_Language, ...] | None = None
    rows: _Count | None = None
    tokens: _Count | None = None
    digest: _Digest | None = None
    used_for: tuple[_Split, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _unknown(cls, value: Any) -> Any:
        """Keep unknown as unknown, and let one value stand for a list of one."""
        if not isinstance(value, Mapping):
            return value
        given = {k: v for k, v in value.items() if k == "name" or v != "unknown"}
        for name in ("consent", "special_categories", "languages", "used_for"):
            if isinstance(given.get(name), str):
                given[name] = (given[name],)
        return given

    @field_validator("licence")
    @classmethod
    def _expression(cls, value: str | None) -> str | None:
        try:
            return None if value is None else str(read_expression(value))
        except InputError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.generator is not None and not self.synthetic:
            raise ValueError("a generator is named for data that are not said to be synthetic")
        if self.special_categories and self.personal is False:
            raise ValueError("data of special categories are personal data")
        if self.consent and "none-needed" in self.consent and len(self.consent) > 1:
            raise ValueError("'none-needed' stands beside another basis")
        return self

    @property
    def lawful(self) -> bool | None:
        """Whether a legal basis is stated that fits the data; ``None`` where it is unknown.

        Personal data need one of article 6, and those of special categories one of article 9 as
        well; data that are not personal need none.
        """
        if self.personal is False:
            return True
        if self.consent is None:
            return None
        if self.consent == ("none-needed",):
            return None if self.personal is None else not self.personal
        bases = set(self.consent)
        article_6 = bool(bases & _ARTICLE_6)
        if not article_6 or not self.special_categories:
            return article_6
        needed = {kind for kind in self.special_categories if kind != "criminal-convictions"}
        return bool(bases & _ARTICLE_9) or not needed

    @property
    def dated(self) -> bool:
        """Whether it is said when the data were collected."""
        found = self.collected
        return found is not None and (found.start is not None or found.end is not None)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; what is unknown is left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def sources_body(sources: Iterable[Source]) -> dict[str, Any]:
    """Return what the record keeps of sources: ``{"sources": […]}``."""
    return {"sources": [source.to_json() for source in sources]}


def sources_from_body(body: Any, *, where: str) -> tuple[Source, ...]:
    """Read ``{"sources": […]}``; raises :class:`InputError` with the source and the key."""
    mapping = cast("Mapping[str, Any]", body) if isinstance(body, Mapping) else {}
    items = mapping.get("sources")
    if not isinstance(items, list):
        raise InputError("there is no list of sources", where=where, valid="sources: [{name: …}]")
    entries = cast("list[Any]", items)
    if len(entries) > _MOST_SOURCES:
        raise InputError(f"{len(entries):,} sources", where=where, valid=f"{_MOST_SOURCES:,}")
    sources = tuple(_source(item, f"{where}, source {i}") for i, item in enumerate(entries, 1))
    seen: set[str] = set()
    for source in sources:
        if source.name in seen:
            raise InputError(f"two sources are called {source.name!r}", where=where)
        seen.add(source.name)
    return sources


def given_sources(given: Any, *, where: str = "sources=") -> tuple[Source, ...]:
    """Read sources from a file, or from values; raises :class:`InputError`.

    ``given`` is the path of a file (see :func:`read_sources`), or a list of sources, or of mappings
    of their fields; an empty list is none.
    """
    if isinstance(given, (str, Path)):
        return read_sources(given)
    if isinstance(given, (Mapping, bytes)) or not isinstance(given, Iterable):
        raise InputError(
            f"sources are no {type(cast('object', given)).__name__}", where=where,
            valid="a file of sources, or a list of sources or of mappings, as [{'name': …}]",
        )  # fmt: skip
    listed = [
        item.to_json() if isinstance(item, Source) else item
        for item in cast("Iterable[Any]", given)
    ]
    return sources_from_body({"sources": listed}, where=where) if listed else ()


def read_sources(path: str | Path) -> tuple[Source, ...]:
    """Read what a file says of sources; raises :class:`InputError` with file and key.

    A YAML or JSON file of schema ``auditor/sources/v1``, or a data set's Croissant file.
    """
    # A path of another type would end in an error of the library.
    if not isinstance(cast("object", path), (str, Path)):
        raise InputError(f"{path!r} is no path", where="sources=", valid="a file of sources")
    file = Path(path).expanduser()
    where = str(path)
    if file.suffix in {".json", ".jsonld"}:
        from auditor.provenance.croissant import MOST_CROISSANT_BYTES, read_croissant

        data = read_bytes(file, most=MOST_CROISSANT_BYTES)
        document = read_json_text(data, where=where)
        if isinstance(document, dict) and "@context" in document:
            return read_croissant(data, where=where).sources
    else:
        document = read_yaml(read_bytes(file), where=where)
    if not isinstance(document, dict):
        raise InputError("expected a mapping", where=where, valid=f"schema: {SOURCES_SCHEMA}")
    body = cast("dict[str, Any]", document)
    if body.get("schema") != SOURCES_SCHEMA:
        raise InputError(
            f"schema {body.get('schema')!r} is not known", where=where,
            valid=f"schema: {SOURCES_SCHEMA}",
        )  # fmt: skip
    for key in body:
        if key not in {"schema", "sources"}:
            raise InputError(
                f"unknown key {key!r}", where=where, valid=nearest(key, ["schema", "sources"])
            )
    return sources_from_body(body, where=where)


def _source(item: Any, where: str) -> Source:
    _known_keys(item, Source, where)
    if isinstance(item, Mapping):
        mapping = cast("Mapping[str, Any]", item)
        _known_keys(mapping.get("collected"), Period, f"{where}, collected")
        _known_keys(mapping.get("opt_outs"), OptOuts, f"{where}, opt_outs")
    return Source.from_json(item, where=where)


def _known_keys(item: Any, model: type[Value], where: str) -> None:
    """Refuse an unknown key with the nearest that there is."""
    if isinstance(item, Mapping):
        valid = [field.alias or name for name, field in model.model_fields.items()]
        for key in cast("Mapping[Any, Any]", item):
            if key not in valid:
                raise InputError(
                    f"unknown key {key!r}", where=where, valid=nearest(str(key), valid)
                )
