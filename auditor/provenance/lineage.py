"""How data were made: an immutable graph of sources, tables, and what was done between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, Self, cast

from pydantic import Field, ValidationError, field_validator, model_validator

from auditor.errors import InputError, nearest
from auditor.evidence import Value, canonical_json
from auditor.evidence.value import explain_validation

__all__ = [
    "GROUP_ROWS_SCHEMA",
    "LINEAGE_SCHEMA",
    "Code",
    "Data",
    "Derivation",
    "GroupRows",
    "How",
    "Lineage",
    "lineage_of",
]

LINEAGE_SCHEMA = "auditor/lineage/v1"
GROUP_ROWS_SCHEMA = "auditor/derivation-groups/v1"
"""Rows before and after a step by group: ``[column, value, before, after]``."""
MOST_DERIVATIONS = 10_000
_MOST_PARTS = 1_000
_MOST_PARAMETERS = 1 << 16

_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Id = Annotated[str, Field(min_length=1, max_length=200)]
_Count = Annotated[int, Field(ge=0, lt=1 << 53)]
_Column = Annotated[str, Field(max_length=200)]
_Columns = Annotated[tuple[_Column, ...], Field(max_length=10_000)]


class Data(Value):
    """A source, or a table; two with the same ``id`` are the same data.

    The id of a table is its digest, that of a source may be any stable text.
    """

    id: _Id
    name: _Name
    kind: Literal["source", "table"] = "table"
    rows: _Count | None = None


class Code(Value):
    """The code of a step: how its digest was taken, and what it closes over.

    ``captured`` holds, for each default value and each variable of a closure, the digest of its
    value, or the name of its type where it has no canonical form.
    """

    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    method: Annotated[str, Field(max_length=100)]
    captured: dict[_Column, Annotated[str, Field(max_length=200)]] = Field(default={})


class GroupRows(Value):
    """How many rows of one value of a column went in and came out; ``None`` is a missing value."""

    value: Annotated[str, Field(max_length=200)] | None
    before: _Count
    after: _Count


class How(Value):
    """What was done: a transformation, a split, or the reading of a source.

    ``parameters`` has canonical JSON. ``groups`` counts rows before and after by the values of
    columns. A step that failed keeps the name of its ``error``.
    """

    name: _Name
    kind: Literal["transform", "split", "load"] = "transform"
    code: Code | None = None
    parameters: dict[_Column, Any] = Field(default={})
    seed: Annotated[int, Field(ge=-(1 << 53), le=1 << 53)] | None = None
    groups: dict[_Column, Annotated[tuple[GroupRows, ...], Field(max_length=_MOST_PARTS)]] = Field(
        default={}
    )
    columns_added: _Columns = ()
    columns_removed: _Columns = ()
    error: Annotated[str, Field(max_length=200)] | None = None

    @field_validator("parameters")
    @classmethod
    def _canonical(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            size = len(canonical_json(value))
        except (InputError, RecursionError) as error:
            raise ValueError(f"they have no canonical JSON form: {error}") from None
        if size > _MOST_PARAMETERS:
            raise ValueError(f"they have {size:,} bytes; at most {_MOST_PARAMETERS:,} are kept")
        return value


class Derivation(Value):
    """One step: the data that went in, what was done, and the data that came out."""

    inputs: Annotated[tuple[Data, ...], Field(max_length=_MOST_PARTS)] = ()
    outputs: Annotated[tuple[Data, ...], Field(max_length=_MOST_PARTS)] = ()
    how: How

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for side in (self.inputs, self.outputs):
            if len({data.id for data in side}) != len(side):
                raise ValueError(f"step {self.how.name!r} names the same data twice")
        return self

    @property
    def rows_before(self) -> int | None:
        """The rows that went in; ``None`` where one input does not say."""
        return _sum(self.inputs)

    @property
    def rows_after(self) -> int | None:
        """The rows that came out; ``None`` where one output does not say."""
        return _sum(self.outputs) if self.how.error is None else None

    @property
    def made(self) -> tuple[Data, ...]:
        """The outputs that are not inputs as well: a step may leave its data as they were."""
        before = {data.id for data in self.inputs}
        return tuple(data for data in self.outputs if data.id not in before)


class Lineage(Value):
    """An immutable graph of data and the steps between them; edges go by the ids of data.

    ``sources`` are the data with which it begins. A step whose outputs equal its inputs (nothing
    was dropped) is kept, and makes no edge.

    >>> raw, clean = Data(id="s:raw", name="raw", kind="source"), Data(id="d:1", name="clean")
    >>> lineage = Lineage(sources=(raw,)).derive(clean, [raw], How(name="drop missing"))
    >>> [data.name for data in lineage.ancestors("d:1")]
    ['raw']
    """

    sources: Annotated[tuple[Data, ...], Field(max_length=MOST_DERIVATIONS)] = ()
    derivations: Annotated[tuple[Derivation, ...], Field(max_length=MOST_DERIVATIONS)] = ()

    @model_validator(mode="after")
    def _sound(self) -> Self:
        known: dict[str, Data] = {}
        for data in self.sources:
            if known.setdefault(data.id, data) is not data:
                raise ValueError(f"the data {data.name!r} are declared twice")
        made: dict[str, str] = {}
        earlier = set(known)
        for step in self.derivations:
            if unknown := [data for data in step.inputs if data.id not in earlier]:
                raise ValueError(f"step {step.how.name!r}: {_unknown(unknown[0])}")
            for data in step.made:
                if data.id in made:
                    raise ValueError(
                        f"step {step.how.name!r} makes the data {data.name!r} again: "
                        f"step {made[data.id]!r} made them"
                    )
                if data.id in known:
                    raise ValueError(
                        f"a cycle: step {step.how.name!r} makes the data "
                        f"{known[data.id].name!r}, with which the lineage begins"
                    )
                made[data.id] = step.how.name
                earlier.add(data.id)
        return self

    def begin(self, *data: Data) -> Self:
        """Return the lineage with further data to begin with; what is there already stays."""
        new = tuple(item for item in data if item.id not in self.data)
        return self._with(sources=(*self.sources, *dict.fromkeys(new)))

    def derive(self, output: Data | Sequence[Data], inputs: Sequence[Data | str], how: How) -> Self:
        """Return the lineage with one more step.

        ``inputs`` are data or their ids. A step that is there already is not added again. Raises
        :class:`InputError` for data that are not in the lineage, for data that another step made,
        and for a cycle.
        """
        before = tuple(self._find(item) for item in inputs)
        after = (output,) if isinstance(output, Data) else tuple(output)
        return self.add(Derivation.from_json({"inputs": before, "outputs": after, "how": how}))

    def add(self, step: Derivation, *, undeclared: Literal["refuse", "begin"] = "refuse") -> Self:
        """Return the lineage with a recorded step; ``begin`` takes unknown inputs as beginnings.

        Raises what :meth:`derive` raises.
        """
        if step in self.derivations:
            return self
        if undeclared == "begin":
            return self.begin(*step.inputs).add(step)
        for data in step.inputs:
            self._find(data)
        below = {data.id for item in step.inputs for data in (item, *self.ancestors(item.id))}
        for data in step.made:
            if data.id in below:
                raise InputError(
                    f"a cycle: step {step.how.name!r} makes the data {data.name!r}, of which its "
                    "own inputs were made", valid="data with a digest of their own",
                )  # fmt: skip
        return self._with(derivations=(*self.derivations, step))

    @cached_property
    def data(self) -> Mapping[str, Data]:
        """All data by id, in the order in which they were made."""
        found = {data.id: data for data in self.sources}
        for step in self.derivations:
            for data in step.outputs:
                found.setdefault(data.id, data)
        return found

    @cached_property
    def maker(self) -> Mapping[str, int]:
        """The position of the step that made each data, by id."""
        return {
            data.id: position
            for position, step in enumerate(self.derivations)
            for data in step.made
        }

    def ancestors(self, identifier: str) -> tuple[Data, ...]:
        """Return all data of which these were made, in the order of :attr:`data`."""
        found: set[str] = set()
        waiting = [identifier]
        while waiting:
            position = self.maker.get(waiting.pop())
            if position is None:
                continue
            for data in self.derivations[position].inputs:
                if data.id not in found:
                    found.add(data.id)
                    waiting.append(data.id)
        return tuple(data for key, data in self.data.items() if key in found)

    def origins(self, identifier: str) -> tuple[Data, ...]:
        """Return the data that these go back to: those that no step made."""
        above = (*self.ancestors(identifier), self._find(identifier))
        return tuple(data for data in above if data.id not in self.maker)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, with its schema."""
        return {"schema": LINEAGE_SCHEMA, **super().to_json()}

    @classmethod
    def from_json(cls, document: Any, *, where: str | None = None) -> Self:
        """Read the JSON form; raises :class:`InputError` naming what is off."""
        mapping = cast("Mapping[str, Any]", document) if isinstance(document, Mapping) else {}
        if mapping.get("schema") != LINEAGE_SCHEMA:
            raise InputError("not a lineage", where=where, valid=f"schema {LINEAGE_SCHEMA!r}")
        try:
            body = {name: value for name, value in mapping.items() if name != "schema"}
            return super().from_json(body, where=where)
        except RecursionError:
            raise InputError("nested too deeply", where=where) from None

    def _repr_svg_(self) -> str:
        from auditor.provenance.lineage_graph import lineage_svg

        return lineage_svg(self)

    def _find(self, item: Data | str) -> Data:
        identifier = item if isinstance(item, str) else item.id
        if identifier not in self.data:
            known = [*self.data, *(data.name for data in self.data.values())]
            what = _unknown(item) if isinstance(item, Data) else f"unknown data {item!r}"
            raise InputError(what, where="inputs", valid=nearest(identifier, known))
        return self.data[identifier]

    def _with(self, **changes: Any) -> Self:
        fields = {"sources": self.sources, "derivations": self.derivations} | changes
        try:
            return type(self).model_validate(fields)
        except ValidationError as error:
            raise InputError(explain_validation(error)) from None


def lineage_of(bodies: Iterable[Any]) -> tuple[Lineage, tuple[str, ...]]:
    """Read the steps of a record, and say which of them could not be read.

    Inputs that no earlier step made are beginnings. A step that does not fit is left out.
    """
    begun: dict[str, Data] = {}
    made: dict[str, str] = {}
    steps: dict[bytes, Derivation] = {}
    problems: list[str] = []
    for number, body in enumerate(bodies, 1):
        try:
            step = Derivation.from_json(body, where=f"derivation {number}")
            if (key := canonical_json(step.to_json())) in steps:
                continue
        except (InputError, RecursionError) as error:
            problems.append(str(error))
            continue
        again = [data for data in step.made if data.id in made or data.id in begun]
        if again or len(steps) >= MOST_DERIVATIONS:
            what = f"makes the data {again[0].name!r} again" if again else "is one too many"
            problems.append(f"derivation {number}: step {step.how.name!r} {what}")
            continue
        for data in step.inputs:
            if data.id not in made:
                begun.setdefault(data.id, data)
        made |= {data.id: step.how.name for data in step.made}
        steps[key] = step
    return Lineage(sources=tuple(begun.values()), derivations=tuple(steps.values())), tuple(
        problems
    )


def _sum(side: Iterable[Data]) -> int | None:
    total = 0
    for data in side:
        if data.rows is None:
            return None
        total += data.rows
    return total


def _unknown(data: Data) -> str:
    return f"the data {data.name!r} are neither a source nor the output of an earlier step"
