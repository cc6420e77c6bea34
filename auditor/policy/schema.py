"""The values of a policy file, as DESIGN's format ``auditor/policy/v1`` lays them out."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from auditor.evidence import Slice, Stage, Value
from auditor.policy.region import Accept

__all__ = [
    "POLICY_SCHEMA",
    "CheckUse",
    "Defaults",
    "Policy",
    "PolicyFile",
    "Rule",
    "Waiver",
    "policy_schema",
]

POLICY_SCHEMA = "auditor/policy/v1"

Identifier = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*$", max_length=100)
]
"""A stable, public, kebab-case id."""

Sentence = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True, max_length=2_000)]

Clause = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]*:\S(.*\S)?$")]
"""``catalogue:clause``, as in ``eu-ai-act:10.2.f``."""

Confidence = Annotated[float, Field(gt=0.5, lt=1)]
"""One-sided, so that 0.5 would be the value itself."""

OnFail = Literal["warn", "block", "stop"]


def _day(value: Any) -> Any:
    # Without this, 20270331 would be read as seconds since 1970.
    if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        raise ValueError(f"{value!r} is no date; write it as 2027-03-31")
    return value


Day = Annotated[date, BeforeValidator(_day)]
"""A calendar day, written ``2027-03-31``."""


class Defaults(Value):
    """What holds for every rule that does not say otherwise."""

    confidence: Confidence = 0.95
    min_denominator: Annotated[int, Field(ge=0)] = 30
    on_inconclusive: Literal["warn", "block"] = "warn"
    small_groups: Literal["list", "block"] = "list"


class CheckUse(Value):
    """A check and the fields that the policy gives it: ``- id`` or ``- id: {field: value}``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: str
    fields: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, CheckUse):
            return value
        if isinstance(value, str):
            return {"id": value}
        if isinstance(value, dict) and isinstance(value.get("id"), str):
            return value
        if isinstance(value, dict) and len(value) == 1:
            identifier, fields = next(iter(value.items()))
            if fields is None or isinstance(fields, dict):
                return {"id": identifier, "fields": fields or {}}
        raise ValueError("a check is its id, or its id with a mapping of fields")

    @model_serializer
    def _short(self) -> Any:
        return {self.id: self.fields} if self.fields else self.id

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object", "minProperties": 1, "maxProperties": 1,
                    "additionalProperties": {"type": ["object", "null"]},
                },
            ],
            "description": "A check, and the fields that it is given.",
        }  # fmt: skip


class Rule(Value):
    """What a policy accepts of one metric, of whom, at which stage."""

    id: Identifier
    title: Sentence | None = None
    metric: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    check: str | None = Field(None, description="Only findings of this check count.")
    over: tuple[str, ...] | None = Field(
        None,
        description="Attributes (sex) and intersections (sex*race). Without it a metric of one "
        "slice speaks of everybody, and a comparison of every single attribute.",
    )
    slice: Slice | None = Field(None, description="Only this slice is judged; in place of over.")
    reference: Literal["largest", "best", "rest"] | dict[str, str] | None = Field(
        None, description="For differences and ratios; without it all pairs are compared."
    )
    stage: Stage
    accept: Accept
    on_fail: OnFail = Field(
        "block", description="warn: say it; block: close the gate; stop: end the training as well."
    )
    looks: int = Field(
        1,
        ge=1,
        le=10_000,
        description="How often it is judged in training; splits the error. A later look decides "
        "nothing: what the last of these decided stands.",
    )
    spending: Literal["uniform", "pocock", "obrien-fleming"] = Field(
        "uniform", description="How the looks share the error: alike, or more to the later ones."
    )
    decide: Literal["simultaneous", "point"] = Field(
        "simultaneous", description="point: by the value alone, for a statute that does so."
    )
    confidence: Confidence | None = None
    min_denominator: Annotated[int, Field(ge=0)] | None = None
    small_groups: Literal["list", "block"] | None = None
    cites: tuple[Clause, ...] = Field((), description="Clauses, as catalogue:clause.")

    @field_validator("over")
    @classmethod
    def _families(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is None:
            return None
        if not value:
            raise ValueError("names no attribute; leave it out, or name one")
        families: list[str] = []
        for entry in value:
            names = [name.strip() for name in entry.split("*")]
            if not all(names) or len(set(names)) != len(names):
                raise ValueError(f"{entry!r} is no intersection; write 'sex' or 'sex*race'")
            families.append("*".join(names))
        if len({frozenset(f.split("*")) for f in families}) != len(families):
            raise ValueError("names the same attributes twice")
        return tuple(families)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.slice is not None and (self.over is not None or not self.slice):
            raise ValueError("a slice names at least one attribute, and stands without 'over'")
        return self

    @property
    def families(self) -> tuple[tuple[str, ...], ...] | None:
        """The attributes of each entry of ``over``, or of the slice; ``None`` without both."""
        if self.slice is not None:
            return (self.slice.attributes,)
        return None if self.over is None else tuple(tuple(e.split("*")) for e in self.over)


class Waiver(Value):
    """A dated exception from a rule, for one slice or for all, that somebody answers for.

    A slice is meant exactly: a waiver for ``race=Other`` does not cover the women among them.
    The day of ``expires`` is the last on which it holds.
    """

    rule: Identifier
    slice: Slice | None = None
    owner: Sentence
    reason: Sentence
    expires: Day


class PolicyFile(Value):
    """A policy as it stands in one file, before what it extends is read.

    ``schema`` names the format; it is called ``format`` here, because pydantic's models have a
    method of that name.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, title="auditor policy",
        populate_by_name=True,
    )  # fmt: skip

    format: Literal["auditor/policy/v1"] = Field(alias="schema")
    id: Identifier
    version: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    title: Sentence | None = None
    as_of: Day | None = None
    extends: tuple[str, ...] = ()
    defaults: Defaults = Defaults()
    checks: tuple[CheckUse, ...] = ()
    rules: tuple[Rule, ...] = ()
    waivers: tuple[Waiver, ...] = ()

    @field_validator("rules", "checks")
    @classmethod
    def _once(cls, value: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        seen: set[str] = set()
        for item in value:
            if item.id in seen:
                raise ValueError(f"the id {item.id!r} stands twice among the {info.field_name}")
            seen.add(item.id)
        return value


class Policy(PolicyFile):
    """A policy with everything resolved: it extends nothing, and has at least one rule."""

    @model_validator(mode="after")
    def _resolved(self) -> Self:
        if self.extends:
            raise ValueError("a resolved policy extends nothing")
        if not self.rules:
            raise ValueError("the policy has no rules; add one, or extend a pack that has some")
        for waiver in self.waivers:
            self.rule(waiver.rule)
        return self

    def rule(self, identifier: str) -> Rule:
        """Return a rule by id; raises :class:`ValueError`."""
        for rule in self.rules:
            if rule.id == identifier:
                return rule
        raise ValueError(f"there is no rule {identifier!r}")


def policy_schema() -> dict[str, Any]:
    """Return the JSON Schema of a policy file, for editors."""
    schema = PolicyFile.model_json_schema(by_alias=True, mode="validation")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema
