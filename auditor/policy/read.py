"""One policy file read into values, with the line and the column of whatever is wrong in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from auditor.checks import CHECKS
from auditor.documents import Node, read_document
from auditor.errors import InputError, PolicyError, nearest
from auditor.evidence.value import explain_complaints
from auditor.policy.schema import POLICY_SCHEMA, Defaults, PolicyFile, Rule, Waiver
from auditor.policy.typed import problem_of

__all__ = ["error_at", "read_policy_file"]

Location = Sequence[str | int]


def read_policy_file(data: bytes, *, where: str) -> tuple[PolicyFile, Node]:
    """Read and check one file; raises :class:`PolicyError` with ``where:line:column``.

    Every rule is held against the types of its metric, every check against its fields. The tree
    comes along, so that later complaints know their place as well.
    """
    root = read_document(data, where=where)
    if not isinstance(root.value, dict):
        valid = f"keys such as schema: {POLICY_SCHEMA}"
        raise error_at(root, f"expected a mapping, found {root.noun}", where=where, valid=valid)
    if "schema" not in root.value:
        raise error_at(root, "'schema' is missing", where=where, valid=f"schema: {POLICY_SCHEMA}")
    if (schema := root.at(["schema"])).value != POLICY_SCHEMA:
        what = f"schema: {schema.noun} is not known"
        raise error_at(schema, what, where=where, valid=f"schema: {POLICY_SCHEMA}")
    for node, model in _models(root):
        for key in node.names():
            if key.text not in (names := _names(model)):
                valid = nearest(key.text, names)
                raise error_at(key, f"unknown key {key.text!r}", where=where, valid=valid)
    try:
        file = PolicyFile.model_validate(_plain(root))
    except ValidationError as error:
        raise _first_complaint(error, root, where) from None
    for number, rule in enumerate(file.rules):
        if (problem := problem_of(rule)) is not None:
            node = root.at(["rules", number, problem.field])
            raise error_at(
                node, f"rule {rule.id}: {problem.what}", where=where, valid=problem.valid
            )
    for number in range(len(file.checks)):
        _check_fields(root.at(["checks", number]), where)
    return file, root


def error_at(at: Any, what: str, *, where: str, valid: str | None = None) -> PolicyError:
    """Return an error at a node or a key."""
    return PolicyError(what, where=f"{where}:{at.line}:{at.column}", valid=valid)


def _models(root: Node) -> Iterator[tuple[Node, type[BaseModel]]]:
    """Yield the mappings of the file with the model that names their keys."""
    yield root, PolicyFile
    if root.key("defaults"):
        yield root.at(["defaults"]), Defaults
    for name, model in (("rules", Rule), ("waivers", Waiver)):
        children = root.at([name]).value if root.key(name) else None
        if isinstance(children, list):
            yield from ((child, model) for child in children)


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _plain(root: Node) -> dict[str, Any]:
    """Return what the models read: texts, but native values for the fields of checks."""
    document = _given(root.text())
    if root.key("checks"):
        document["checks"] = root.at(["checks"]).native()
    if isinstance(defaults := document.get("defaults"), dict):
        document["defaults"] = _given(defaults)
    if isinstance(rules := document.get("rules"), list):
        document["rules"] = [_given(rule) for rule in rules]
    return {name: value for name, value in document.items() if value is not None}


def _given(mapping: Any) -> Any:
    """Leave out the keys that were written without a value."""
    if not isinstance(mapping, dict):
        return mapping
    return {name: value for name, value in mapping.items() if value is not None}


def _first_complaint(error: ValidationError, root: Node, where: str) -> PolicyError:
    """Return the complaint that stands first in the file."""
    complaints = [_complaint(e, root) for e in error.errors(include_url=False)]
    node, what, valid = min(complaints, key=lambda c: (c[0].line, c[0].column))
    return error_at(node, what, where=where, valid=valid)


def _complaint(error: Any, root: Node) -> tuple[Node, str, str | None]:
    path: Location = error["loc"]
    node = root.at(path)
    place = ".".join(str(step) for step in path if not isinstance(step, int)) or "the policy"
    kind, context = error["type"], error.get("ctx", {})
    valid: str | None = None
    match kind:
        case "missing":
            return node, f"{str(path[-1])!r} is missing", None
        case "literal_error" | "enum":
            words = re.findall(r"'([^']*)'", str(context.get("expected", "")))
            what = f"{place}: {node.noun} is not valid"
            valid = _nearest_or_all(str(node.value), words)
        case "value_error":
            what = f"{place}: {context['error']}"
        case "tuple_type" | "list_type":
            what, valid = f"{place}: expected a list, found {node.noun}", "[…]"
        case "model_type" | "dict_type" | "model_attributes_type" | "is_instance_of":
            what = f"{place}: expected a mapping, found {node.noun}"
        case "string_type":
            what = f"{place}: expected a text, found {node.noun}"
        case "int_parsing" | "int_type" | "int_from_float" | "float_parsing" | "float_type":
            number = "a whole number" if kind.startswith("int") else "a number"
            what = f"{place}: expected {number}, found {node.noun}"
        case "string_pattern_mismatch":
            what = f"{place}: {node.noun} is not valid"
            valid = (
                "a clause as catalogue:clause, such as eu-ai-act:10.2.f"
                if "cites" in path
                else "lower-case words and digits joined by '-' or '.'"
            )
        case _ if kind.startswith("date"):
            what, valid = f"{place}: {node.noun} is no date", "a day of the calendar, as 2027-03-31"
        case _:
            what = f"{place}: {explain_complaints([error])[1]}"
    return node, what, valid


def _nearest_or_all(word: str, words: Sequence[str]) -> str:
    near = nearest(word, words)
    return near if near.startswith("valid") else f"{near} (valid: {', '.join(words)})"


def _check_fields(node: Node, where: str) -> None:
    """Hold one entry of ``checks`` against the registered check and its fields."""
    if isinstance(node.value, dict):
        identifier, (key, fields) = next(iter(node.value.items()))
        at: Any = key
    else:
        identifier, fields, at = str(node.value), None, node
    if identifier in CHECKS.broken:
        return  # the verdict shows it as an error
    try:
        check = CHECKS.get(identifier)
    except InputError as error:
        raise error_at(at, error.what, where=where, valid=error.valid) from None
    if fields is None or fields.value is None:
        return
    for name in fields.names():
        if name.text not in check.model_fields:
            raise error_at(
                name, f"check {identifier} has no field {name.text!r}", where=where,
                valid=nearest(name.text, check.model_fields),
            )  # fmt: skip
    try:
        check.model_validate(fields.native())
    except ValidationError as error:
        complaints = error.errors(include_url=False)
        place = ".".join(str(step) for step in complaints[0]["loc"][:1]) or "its fields"
        raise error_at(
            fields.at(complaints[0]["loc"]),
            f"check {identifier}, {place}: {explain_complaints(complaints)[1]}", where=where,
        ) from None  # fmt: skip
