"""Which groups exist: declared before the first batch, never inferred from one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from auditor.errors import InputError, nearest
from auditor.evidence.slice import Slice
from auditor.evidence.value import Value

__all__ = ["Attribute", "Family", "Groups", "as_label"]

Family = tuple[str, ...]
"""The attributes whose conjunctions make a set of slices; ``()`` is everybody."""

_MOST_SLICES = 1 << 22
_LISTED_EMPTY = 1_000


def as_label(value: Any) -> str | None:
    """Write one value of an attribute as a table would; missing values give ``None``.

    >>> as_label("F"), as_label(3), as_label(True), as_label(float("nan")), as_label(None)
    ('F', '3', 'true', None, None)
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    text = str(value)
    return None if text in {"<NA>", "NaT", "nan"} and not isinstance(value, str) else text


class Attribute(Value):
    """A sensitive attribute and its levels; code ``len(levels)`` stands for a missing value."""

    name: str
    levels: tuple[str, ...]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.levels)) != len(self.levels):
            raise ValueError(f"attribute {self.name!r} names a level twice")
        return self

    @property
    def size(self) -> int:
        """Levels plus one for the missing value."""
        return len(self.levels) + 1

    @cached_property
    def index(self) -> dict[str | None, int]:
        """The code of each level, and of ``None``."""
        return {**{level: code for code, level in enumerate(self.levels)}, None: len(self.levels)}

    def label(self, code: int) -> str | None:
        """Return the level of a code, ``None`` for the missing one."""
        return self.levels[code] if code < len(self.levels) else None

    def encode(self, values: Iterable[Any]) -> NDArray[np.int32]:
        """Turn values into codes, shape ``[rows]``; raises :class:`InputError` on a new level."""
        index = self.index
        labels: list[Any] = list(values)
        if not set(map(type, labels)) <= {str, type(None)}:
            labels = [as_label(value) for value in labels]
        try:
            return np.fromiter(map(index.__getitem__, labels), np.int32, len(labels))
        except KeyError as error:
            raise InputError(
                f"value {error.args[0]!r} of attribute {self.name!r} was not declared",
                valid=nearest(str(error.args[0]), self.levels),
            ) from None


class Groups(Value):
    """The declared attributes and the families of slices that are counted.

    The families are everybody, every attribute, and the intersections of up to a declared number
    of attributes; nothing else is stored. Flat slice numbers run over the families in order, so
    that one vector holds every slice of every family.

    >>> groups = Groups.declare([Attribute(name="sex", levels=("F", "M"))])
    >>> groups.families, groups.total
    (((), ('sex',)), 4)
    """

    attributes: tuple[Attribute, ...]
    families: tuple[Family, ...]

    @classmethod
    def declare(cls, attributes: Sequence[Attribute], *, intersections: int = 2) -> Self:
        """Declare the families: everybody, attributes, conjunctions of up to ``intersections``."""
        names = [attribute.name for attribute in attributes]
        if len(set(names)) != len(names):
            raise InputError("a sensitive attribute is named twice", where=", ".join(names))
        if intersections < 1:
            raise InputError(f"intersections is {intersections}", valid="a whole number from 1")
        families: list[Family] = [()]
        for size in range(1, min(intersections, len(names)) + 1):
            families += itertools.combinations(names, size)
        size = {attribute.name: attribute.size for attribute in attributes}
        for family in families:
            if (slices := math.prod(size[name] for name in family)) > _MOST_SLICES:
                raise InputError(
                    f"the intersection {' × '.join(family)} has {slices:,} possible slices",
                    valid="fewer intersections, or coarser bins",
                )
        return cls(attributes=tuple(attributes), families=tuple(families))

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        names = [attribute.name for attribute in self.attributes]
        if len(set(names)) != len(names) or len(set(self.families)) != len(self.families):
            raise ValueError("an attribute or a family is named twice")
        for family in self.families:
            if [name for name in names if name in family] != list(family):
                raise ValueError(f"family {family} does not follow the declared attributes")
            if math.prod(a.size for a in self.attributes if a.name in family) > _MOST_SLICES:
                raise ValueError(f"family {family} has too many possible slices")
        return self

    def attribute(self, name: str) -> Attribute:
        """Return an attribute by name; raises :class:`InputError`."""
        if name in self._by_name:
            return self._by_name[name]
        raise InputError(
            f"{name!r} is not a declared sensitive attribute",
            valid=nearest(name, [a.name for a in self.attributes]),
        )

    def family(self, names: Iterable[str]) -> Family:
        """Return the declared family over these attributes, in the declared order."""
        wanted = set(names)
        for family in self.families:
            if set(family) == wanted:
                return family
        raise InputError(
            f"the intersection {' × '.join(sorted(wanted))} was not declared",
            valid="declared: " + ", ".join("×".join(f) for f in self.families if f),
        )

    def shape(self, family: Family) -> tuple[int, ...]:
        """Return the number of codes of each attribute in the family, missing included."""
        return tuple(self.attribute(name).size for name in family)

    def size(self, family: Family) -> int:
        """Return the number of slices of a family, missing ones included."""
        return math.prod(self.shape(family))

    @cached_property
    def total(self) -> int:
        """Slices of all families together."""
        return sum(self.size(family) for family in self.families)

    def offset(self, family: Family) -> int:
        """Return where the slices of a family begin among the flat slice numbers."""
        return self._offsets[family]

    @cached_property
    def _by_name(self) -> dict[str, Attribute]:
        return {attribute.name: attribute for attribute in self.attributes}

    @cached_property
    def _offsets(self) -> dict[Family, int]:
        sizes = itertools.accumulate((self.size(f) for f in self.families), initial=0)
        return dict(zip(self.families, sizes, strict=False))

    def encode(self, columns: Mapping[str, Iterable[Any]]) -> NDArray[np.int32]:
        """Encode the attributes' columns: codes of shape ``[rows, attributes]``."""
        encoded: list[NDArray[np.int32]] = []
        first = ""
        for attribute in self.attributes:
            if attribute.name not in columns:
                raise InputError(
                    f"sensitive attribute {attribute.name!r} is missing",
                    valid=nearest(attribute.name, columns),
                )
            codes = attribute.encode(columns[attribute.name])
            if encoded and len(codes) != len(encoded[0]):
                raise InputError(
                    f"sensitive attribute {attribute.name!r} has {len(codes):,} values",
                    valid=f"{len(encoded[0]):,} as {first!r} has",
                )
            first = first or attribute.name
            encoded.append(codes)
        if not encoded:
            return np.zeros((0, 0), np.int32)
        return np.stack(encoded, axis=1)

    def flat(self, codes: NDArray[np.int32]) -> NDArray[np.int64]:
        """Map codes ``[rows, attributes]`` to flat slice numbers ``[rows, families]``.

        Raises :class:`InputError` for codes that :meth:`encode` does not give.
        """
        out = np.empty((codes.shape[0], len(self.families)), np.int64)
        self.check_codes(codes)
        for position, family in enumerate(self.families):
            out[:, position] = self.family_codes(codes, family)
        return out

    def family_codes(self, codes: NDArray[np.int32], family: Family) -> NDArray[np.int64]:
        """Map codes ``[rows, attributes]`` to the flat slice numbers of one family, ``[rows]``."""
        names = [attribute.name for attribute in self.attributes]
        flat = np.zeros(codes.shape[0], np.int64)
        for name in family:
            flat *= self.attribute(name).size
            flat += codes[:, names.index(name)]
        return flat + self.offset(family)

    @property
    def joint(self) -> int:
        """The cells of the joint table of all attributes, missing values included."""
        return math.prod(attribute.size for attribute in self.attributes)

    def joint_codes(self, codes: NDArray[np.int32]) -> NDArray[np.int64]:
        """Map codes ``[rows, attributes]`` to cells of the joint table, ``[rows]``.

        Where the joint table is small, counting in it once and adding up :meth:`marginals` takes
        the place of counting for every family. Raises :class:`InputError` as :meth:`flat` does.
        """
        self.check_codes(codes)
        joint = np.zeros(codes.shape[0], np.int64)
        for position, attribute in enumerate(self.attributes):
            joint *= attribute.size
            joint += codes[:, position]
        return joint

    def marginals(self, values: NDArray[Any]) -> NDArray[Any]:
        """Add up a joint table ``[joint, ...]`` to the slices of all families ``[total, ...]``."""
        names = [attribute.name for attribute in self.attributes]
        rest = values.shape[1:]
        table = values.reshape((*(attribute.size for attribute in self.attributes), *rest))
        parts = [
            np.asarray(table.sum(axis=tuple(i for i, n in enumerate(names) if n not in family)))
            for family in self.families
        ]
        sizes = [self.size(family) for family in self.families]
        return np.concatenate(
            [part.reshape((size, *rest)) for part, size in zip(parts, sizes, strict=True)]
        )

    def check_codes(self, codes: NDArray[np.int32]) -> None:
        """Raise :class:`InputError` for codes that :meth:`encode` does not give."""
        width = len(self.attributes)
        if codes.ndim != 2 or codes.shape[1] != width:
            raise InputError(f"group codes have shape {codes.shape}", valid=f"[rows, {width}]")
        for position, attribute in enumerate(self.attributes):
            column = codes[:, position]
            if column.size and (column.min() < 0 or column.max() >= attribute.size):
                raise InputError("a group code is out of range", valid="codes from Groups.encode")

    def slice_of(self, family: Family, number: int) -> Slice:
        """Return the slice of a number within its family."""
        values: dict[str, str | None] = {}
        for name in reversed(family):
            attribute = self.attribute(name)
            number, code = divmod(number, attribute.size)
            values[name] = attribute.label(code)
        return Slice(values)

    def number_of(self, family: Family, where: Mapping[str, str | None]) -> int:
        """Return the number of a slice within its family; raises :class:`InputError`."""
        number = 0
        for name in family:
            attribute = self.attribute(name)
            value = where[name]
            if value not in attribute.index:
                raise InputError(
                    f"attribute {name!r} has no value {value!r}",
                    valid=nearest(str(value), attribute.levels),
                )
            number = number * attribute.size + attribute.index[value]
        return number

    def slices(self, family: Family, occupied: NDArray[np.bool_]) -> Iterator[tuple[int, Slice]]:
        """Yield ``(number, slice)`` of every slice to be listed.

        These are the occupied ones, and the declared ones that turned out empty (in families of
        up to 1,000 slices); an empty slice of a missing value is no group and is not listed.
        """
        list_empty = self.size(family) <= _LISTED_EMPTY
        numbers = range(self.size(family)) if list_empty else np.flatnonzero(occupied).tolist()
        for number in numbers:
            where = self.slice_of(family, int(number))
            if occupied[number] or where.known:
                yield int(number), where
