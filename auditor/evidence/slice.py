"""A slice: a conjunction of values of sensitive attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

__all__ = ["Slice"]


class Slice(Mapping[str, str | None]):
    """An immutable, hashable mapping from attribute to value, ordered by attribute.

    Values are strings as the table writes them; ``None`` is a missing value. The empty slice is
    everybody.

    >>> Slice({"sex": "Female", "race": None})
    Slice({'race': None, 'sex': 'Female'})
    >>> str(Slice({"sex": "Female", "race": None}))
    'race is unknown, sex=Female'
    >>> Slice({}) == {}
    True
    """

    __slots__ = ("_hash", "_items")

    def __init__(self, values: Mapping[str, str | None] | None = None) -> None:
        self._items: dict[str, str | None] = dict(sorted((values or {}).items()))
        self._hash = hash(tuple(self._items.items()))

    def __getitem__(self, key: str) -> str | None:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Slice({self._items!r})"

    def __str__(self) -> str:
        if not self._items:
            return "all"
        return ", ".join(
            f"{name} is unknown" if value is None else f"{name}={value}"
            for name, value in self._items.items()
        )

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that this slice fixes, sorted."""
        return tuple(self._items)

    @property
    def known(self) -> bool:
        """Whether no value is missing."""
        return all(value is not None for value in self._items.values())

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        plain = core_schema.dict_schema(
            core_schema.str_schema(), core_schema.nullable_schema(core_schema.str_schema())
        )
        return core_schema.json_or_python_schema(
            json_schema=core_schema.no_info_after_validator_function(cls, plain),
            python_schema=core_schema.union_schema(
                [
                    core_schema.is_instance_schema(cls),
                    core_schema.no_info_after_validator_function(cls, plain),
                ]
            ),
            serialization=core_schema.plain_serializer_function_ser_schema(dict),
        )
