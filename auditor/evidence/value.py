"""The base of every value that is written down: frozen, strict, canonical on disk."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from auditor.errors import InputError

__all__ = ["Value", "explain_validation"]


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
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the document"
    return f"{place}: {first['msg'][:1].lower()}{first['msg'][1:]}"
