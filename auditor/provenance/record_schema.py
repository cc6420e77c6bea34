"""The declared Arrow schema of records, as text, and the logical types that a digest binds.

A width or a container is no information: ``int32`` and ``int64``, ``string`` and ``large_string``,
a dictionary and its values hold the same records. A digest therefore binds the *logical* type, and
the declared one says into which widths values must fit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auditor.errors import InputError, nearest
from auditor.evidence import canonical_json

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["declared_schema", "logical_schema", "plain_type", "schema_text"]

_ALIASES = {
    "int": "int64", "float": "double", "float64": "double", "float32": "float",
    "float16": "halffloat", "str": "string", "text": "string", "bytes": "binary",
    "boolean": "bool", "date": "date32[day]", "date32": "date32[day]", "date64": "date32[day]",
    "timestamp": "timestamp[us]", "time": "time64[us]", "duration": "duration[us]",
}  # fmt: skip
_FIXED = (
    "null", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "string", "binary", "date32", "time32[s]", "time32[ms]",
    "time64[us]", "time64[ns]", *(f"duration[{unit}]" for unit in ("s", "ms", "us", "ns")),
)  # fmt: skip
_VALID = (
    "null, bool, int8…int64, uint8…uint64, float16…float64, string, binary, date32, time64[us], "
    "duration[us], timestamp[us], timestamp[us, UTC], decimal(12, 2), list<int64>, "
    "struct<a: int64, b: string>"
)
_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[A-Za-z_][\w.\-]*|\d+|[\[\]<>(),:\n])')
_DEPTH = 32


def declared_schema(source: str | Mapping[str, Any] | pa.Schema) -> pa.Schema:
    """Return the schema that records are cast to: plain types, every column nullable.

    ``source`` is a text such as ``"age: int64, born: date32"`` (commas or lines; names that are no
    words in double quotes as in JSON), a mapping from names to such types, or an Arrow schema.
    Dictionaries, views, large and fixed sizes become their plain types, a time zone UTC. Raises
    :class:`InputError` for a type that has no canonical encoding, for a name given twice and for
    anything else that is no schema.

    >>> schema_text(declared_schema("age: int, tags: list<string>"))
    'age: int64, tags: list<string>'
    """
    import pyarrow as pa

    if isinstance(source, str):
        fields = _Parser(source).fields(end="")
    elif isinstance(source, Mapping):
        fields = [(_column(name), _parsed(kind, name)) for name, kind in source.items()]
    elif isinstance(source, pa.Schema):
        fields = [(f.name, plain_type(f.type, f.name)) for f in source]
    else:
        raise InputError(
            f"{source!r} declares no schema", where="the declared schema",
            valid='"age: int64, name: string", a mapping from names to types, or an Arrow schema',
        )  # fmt: skip
    _refuse_repeated([name for name, _ in fields], "the declared schema")
    if not fields:
        raise InputError("a declared schema without a column", valid='"age: int64, name: string"')
    return pa.schema(fields)


def plain_type(kind: pa.DataType, where: str) -> pa.DataType:
    """Return the type without dictionaries, extensions, views, large offsets and fixed sizes."""
    import pyarrow as pa
    import pyarrow.types as of

    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type, where)
    if of.is_dictionary(kind) or of.is_run_end_encoded(kind):
        return plain_type(kind.value_type, where)
    if of.is_string(kind) or of.is_large_string(kind) or of.is_string_view(kind):
        return pa.string()
    if (of.is_binary(kind) or of.is_large_binary(kind) or of.is_binary_view(kind)
            or of.is_fixed_size_binary(kind)):  # fmt: skip
        return pa.binary()
    if of.is_date(kind):
        return pa.date32()
    if of.is_timestamp(kind):
        return pa.timestamp(kind.unit, None if kind.tz is None else "UTC")
    if of.is_decimal(kind):
        wide = kind.bit_width == 256
        return (pa.decimal256 if wide else pa.decimal128)(kind.precision, kind.scale)
    if of.is_map(kind):
        entry = [("key", plain_type(kind.key_type, where)),
                 ("value", plain_type(kind.item_type, where))]  # fmt: skip
        return pa.list_(pa.struct(entry))
    if is_listlike(kind):
        return pa.list_(plain_type(kind.value_type, where))
    if of.is_struct(kind):
        names = [field.name for field in kind]
        _refuse_repeated(names, where)
        return pa.struct([(field.name, plain_type(field.type, where)) for field in kind])
    if of.is_primitive(kind) or of.is_null(kind):
        if of.is_interval(kind):
            raise InputError(f"no canonical encoding of {kind}", where=where, valid=_VALID)
        return kind
    raise InputError(f"no canonical encoding of {kind}", where=where, valid=_VALID)


def is_listlike(kind: pa.DataType) -> bool:
    """Return whether values are lists of any container: offsets of 32 or 64 bits, views, fixed."""
    import pyarrow.types as of

    return (of.is_list(kind) or of.is_large_list(kind) or of.is_fixed_size_list(kind)
            or of.is_list_view(kind) or of.is_large_list_view(kind))  # fmt: skip


def schema_text(schema: pa.Schema) -> str:
    """Return the text from which :func:`declared_schema` gives the same schema again."""
    return ", ".join(f"{_name(f.name)}: {type_text(f.type)}" for f in declared_schema(schema))


def type_text(kind: pa.DataType) -> str:
    """Return a plain type as text; see :func:`declared_schema`."""
    import pyarrow.types as of

    if of.is_list(kind):
        return f"list<{type_text(kind.value_type)}>"
    if of.is_struct(kind):
        inner = ", ".join(f"{_name(f.name)}: {type_text(f.type)}" for f in kind)
        return f"struct<{inner}>"
    if of.is_decimal(kind):
        family = "decimal256" if kind.bit_width == 256 else "decimal"
        return f"{family}({kind.precision}, {kind.scale})"
    if of.is_timestamp(kind):
        return f"timestamp[{kind.unit}{'' if kind.tz is None else ', UTC'}]"
    names = {"halffloat": "float16", "float": "float32", "double": "float64",
             "date32[day]": "date32"}  # fmt: skip
    return names.get(str(kind), str(kind))


def logical_schema(schema: pa.Schema) -> bytes:
    """Return the canonical JSON (RFC 8785) of names and logical types that a digest binds.

    A list of ``[name, type]``; a type is ``"null"``, ``"bool"``, ``"int"``, ``"float"``,
    ``"string"``, ``"binary"``, ``"date"``, ``"time"``, ``"duration"``, ``"timestamp"`` (no zone),
    ``"instant"`` (UTC), ``{"decimal": scale}``, ``{"list": type}`` or
    ``{"struct": [[name, type], …]}``.

    >>> import pyarrow as pa
    >>> logical_schema(pa.schema([("a", pa.int8()), ("b", pa.large_string())]))
    b'[["a","int"],["b","string"]]'
    """
    return canonical_json([[f.name, _logical(f.type)] for f in declared_schema(schema)])


def _logical(kind: pa.DataType) -> Any:
    import pyarrow.types as of

    if of.is_list(kind):
        return {"list": _logical(kind.value_type)}
    if of.is_struct(kind):
        return {"struct": [[field.name, _logical(field.type)] for field in kind]}
    if of.is_decimal(kind):
        return {"decimal": kind.scale}
    if of.is_timestamp(kind):
        return "timestamp" if kind.tz is None else "instant"
    for name, holds in (
        ("int", of.is_integer), ("float", of.is_floating), ("date", of.is_date),
        ("time", of.is_time), ("duration", of.is_duration),
    ):  # fmt: skip
        if holds(kind):
            return name
    return str(kind)


def _column(name: Any) -> str:
    if not isinstance(name, str):
        raise InputError(f"{name!r} is no name of a column", where="the declared schema",
                         valid="a text")  # fmt: skip
    return name


def _parsed(kind: Any, name: str) -> pa.DataType:
    import pyarrow as pa

    if isinstance(kind, pa.DataType):
        return plain_type(kind, name)
    if not isinstance(kind, str):
        what = f"{kind!r} is no type of column {name!r}"
        raise InputError(what, where="the declared schema", valid=_VALID)
    parser = _Parser(kind)
    found = parser.kind()
    if parser.next():
        raise parser.error("more than one type")
    return found


def _name(name: str) -> str:
    plain = re.fullmatch(r"[A-Za-z_][\w.\-]*", name, re.ASCII)
    return name if plain else canonical_json(name).decode()


def _refuse_repeated(names: list[str], where: str) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"column {twice[0]!r} is there more than once", where=where)


class _Parser:
    """Reads ``name: type`` pairs; a type may hold types."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text.strip(" \t\n,"), 0, 0

    def error(self, what: str) -> InputError:
        shown = self.text[max(0, self.at - 20) : self.at + 20]
        return InputError(f"{what} near {shown!r}", where="the declared schema", valid=_VALID)

    def next(self) -> str:
        """Return the next token and move on; an empty one at the end."""
        rest = self.text[self.at :]
        if not rest.strip():
            return ""
        found = re.match(r"[ \t\r]*(\n)\s*", rest) or _TOKEN.match(rest)
        if found is None:
            raise self.error("unexpected text")
        self.at += found.end()
        return found[1]

    def expect(self, token: str) -> None:
        if (found := self.next()) != token:
            raise self.error(f"{token!r} expected, not {found!r}")

    def fields(self, *, end: str) -> list[tuple[str, pa.DataType]]:
        import json

        found: list[tuple[str, pa.DataType]] = []
        token = self.next()
        while token not in {end, ""}:
            if token.startswith('"'):
                try:
                    token = json.loads(token)
                except ValueError:
                    raise self.error("a name that is no JSON string") from None
            elif not re.match(r"[\w]", token):
                raise self.error(f"a name expected, not {token!r}")
            self.expect(":")
            found.append((token, self.kind()))
            token = self.next()
            if token in {",", "\n"}:
                while token in {",", "\n"}:
                    token = self.next()
            elif token != end:
                raise self.error("a comma expected")
        if token != end:
            raise self.error(f"{end!r} expected")
        return found

    def kind(self) -> pa.DataType:
        self.depth += 1
        if self.depth > _DEPTH:
            raise self.error(f"types within types, more than {_DEPTH} deep")
        found = self._kind(self.next())
        self.depth -= 1
        return found

    def _kind(self, word: str) -> pa.DataType:
        import pyarrow as pa

        if word == "list":
            self.expect("<")
            item = self.kind()
            self.expect(">")
            return pa.list_(item)
        if word == "struct":
            self.expect("<")
            inner = self.fields(end=">")
            _refuse_repeated([name for name, _ in inner], "the declared schema")
            return pa.struct(inner)
        if word in {"decimal", "decimal128", "decimal256"}:
            return self._decimal(word)
        unit, zone = self._unit() if self._ahead() == "[" else ("", None)
        if word == "timestamp":
            return self._timestamp(unit or "us", zone)
        name = _ALIASES.get(word, word) if not unit else f"{word}[{unit}]"
        known = {**{k: k for k in _FIXED}, "double": "float64", "float": "float32",
                 "halffloat": "float16", "date32[day]": "date32", "large_string": "string",
                 "large_binary": "binary"}  # fmt: skip
        if name not in known or zone is not None:
            raise InputError(
                f"unknown type {word!r}", where="the declared schema", valid=nearest(word, _FIXED)
            )
        return pa.type_for_alias(known[name])

    def _ahead(self) -> str:
        return self.text[self.at : self.at + 1]

    def _unit(self) -> tuple[str, str | None]:
        self.expect("[")
        end = self.text.find("]", self.at)
        if end < 0:
            raise self.error("']' expected")
        unit, _, zone = (part.strip() for part in self.text[self.at : end].partition(","))
        self.at = end + 1
        return unit, zone.removeprefix("tz=") or None

    def _timestamp(self, unit: str, zone: str | None) -> pa.DataType:
        import pyarrow as pa

        if unit not in {"s", "ms", "us", "ns"}:
            raise self.error(f"unknown unit {unit!r}")
        return pa.timestamp(unit, None if zone is None else "UTC")

    def _decimal(self, word: str) -> pa.DataType:
        import pyarrow as pa

        self.expect("(")
        precision = self.next()
        self.expect(",")
        scale = self.next()
        self.expect(")")
        if not (precision.isdecimal() and scale.isdecimal()):
            raise self.error("two whole numbers expected")
        wide = word == "decimal256" or int(precision) > 38
        try:
            return (pa.decimal256 if wide else pa.decimal128)(int(precision), int(scale))
        except (pa.ArrowInvalid, ValueError) as error:
            raise self.error(str(error)) from None
