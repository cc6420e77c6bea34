"""Policies found, read, and resolved into one text that says all that is judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from auditor.documents import MOST_BYTES, Node
from auditor.errors import PolicyError, nearest
from auditor.evidence import PolicyReference, sha256
from auditor.policy.read import error_at, read_policy_file
from auditor.policy.schema import CheckUse, Defaults, Policy, PolicyFile, Rule, Waiver
from auditor.policy.text import policy_text
from auditor.resources import resource_folder

__all__ = ["LoadedPolicy", "bundled_policies", "load_policy", "parse_policy"]

_MOST_FILES = 64


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A resolved policy with the text and the digest that stand for it.

    ``text`` is what goes to ``RUN/policy.yaml``; reading it again gives an equal policy and an
    equal digest. ``source`` says where it came from, for messages.
    """

    policy: Policy
    text: bytes
    digest: str
    source: str

    @property
    def reference(self) -> PolicyReference:
        """What a verdict says of the policy."""
        return PolicyReference(
            id=self.policy.id, version=self.policy.version, digest=self.digest
        )  # fmt: skip


def load_policy(source: str | Path | Policy) -> LoadedPolicy:
    """Load a policy file, a bundled policy by its id, or a policy made in Python.

    What it extends is resolved: rules of the same id are replaced whole, waivers add up, defaults
    are overridden one by one. Raises :class:`PolicyError` with ``file:line:column``.
    """
    if isinstance(source, Policy):
        return parse_policy(policy_text(source), source.id)
    path = _find(source)
    parts: dict[Path, _Part] = {}
    _collect(path, str(path), (), parts)
    return parse_policy(policy_text(_resolve(list(parts.values()))), str(source))


def parse_policy(text: bytes, where: str) -> LoadedPolicy:
    """Read a resolved policy, as it lies in a run; raises :class:`PolicyError`."""
    file, root = read_policy_file(text, where=where)
    if file.extends:
        raise error_at(
            root.at(["extends"]), "a resolved policy extends nothing", where=where,
            valid="load the file that extends, and what it extends is found",
        )  # fmt: skip
    return LoadedPolicy(_resolve([_Part(where, file, root)]), text, sha256(text), where)


def bundled_policies() -> Iterator[LoadedPolicy]:
    """Yield the policies that ship with this installation, by id."""
    for path in sorted(resource_folder("policies").glob("*.yaml")):
        yield load_policy(path)


class _Part(NamedTuple):
    """One file of those that make a policy."""

    where: str
    file: PolicyFile
    root: Node


def _find(source: str | Path) -> Path:
    if isinstance(source, Path):
        return source
    pack = _bundled(source)
    if pack is not None:
        return pack
    path = Path(source).expanduser()
    if path.suffix or len(path.parts) > 1 or path.exists():
        return path
    known = [p.stem for p in sorted(resource_folder("policies").glob("*.yaml"))]
    raise PolicyError(
        "no policy of this id, and no such file", where=source,
        valid=nearest(source, known) + ", or the path of a file",
    )  # fmt: skip


def _bundled(identifier: str) -> Path | None:
    """Return the file of a bundled policy; an id has no slash and no suffix."""
    if not identifier or not all(c.isalnum() or c == "-" for c in identifier):
        return None
    path = resource_folder("policies") / f"{identifier}.yaml"
    return path if path.is_file() else None


def _bytes_of(path: Path, where: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise PolicyError(
            f"cannot be read ({(error.strerror or str(error)).lower()})", where=where,
            valid="a policy file, or the id of a bundled policy",
        ) from None  # fmt: skip
    except ValueError as error:  # a zero byte in the name
        raise PolicyError(f"is no path ({error})", where=where) from None


def _collect(path: Path, where: str, below: tuple[Path, ...], parts: dict[Path, _Part]) -> None:
    """Read a file after all that it extends, each once; ``below`` are those that extend it."""
    data = _bytes_of(path, where)
    if len(data) > MOST_BYTES:
        raise PolicyError(
            "the file is larger than 1 MiB", where=f"{where}:1:1", valid="1 MiB at most"
        )
    file, root = read_policy_file(data, where=where)
    below = (*below, path.resolve())
    for number, name in enumerate(file.extends):
        at = root.at(["extends", number])
        parent = _parent(name, path, at, where)
        if parent.resolve() in below:
            names = [p.stem for p in (*below[below.index(parent.resolve()) :], parent)]
            raise error_at(at, f"policies extend each other: {' → '.join(names)}", where=where)
        if len(below) > _MOST_FILES:
            raise error_at(at, f"a chain of more than {_MOST_FILES} policies", where=where)
        if parent.resolve() not in parts:
            _collect(parent, str(parent), below, parts)
    parts[path.resolve()] = _Part(where, file, root)


def _parent(name: str, child: Path, at: Node, where: str) -> Path:
    if (pack := _bundled(name)) is not None:
        return pack
    path = child.parent / name
    if ("/" in name or name.endswith((".yaml", ".yml"))) and path.is_file():
        return path
    known = [p.stem for p in sorted(resource_folder("policies").glob("*.yaml"))]
    raise error_at(
        at, f"there is no policy {name!r}", where=where,
        valid=nearest(name, known) + ", or a path relative to this file",
    )  # fmt: skip


def _resolve(parts: list[_Part]) -> Policy:
    """Lay the files over each other, ancestors first."""
    defaults: dict[str, Any] = {}
    checks: dict[str, CheckUse] = {}
    rules: dict[str, Rule] = {}
    waivers: list[Waiver] = []
    for part in parts:
        given = part.file.defaults
        defaults |= {name: getattr(given, name) for name in given.model_fields_set}
        checks |= {check.id: check for check in part.file.checks}
        rules |= {rule.id: rule for rule in part.file.rules}
        for number, waiver in enumerate(part.file.waivers):
            if waiver.rule not in rules:
                at = part.root.at(["waivers", number, "rule"])
                what = f"a waiver for the unknown rule {waiver.rule!r}"
                raise error_at(at, what, where=part.where, valid=nearest(waiver.rule, rules))
            waivers.append(waiver)
    last = parts[-1]
    if not rules:
        valid = "rules: […], or extends: [a policy that has some]"
        raise error_at(last.root, "the policy has no rules", where=last.where, valid=valid)
    head = last.file
    return Policy(
        schema=head.format, id=head.id, version=head.version, title=head.title, as_of=head.as_of,
        defaults=Defaults(**defaults), checks=tuple(checks.values()), rules=tuple(rules.values()),
        waivers=tuple(waivers),
    )  # fmt: skip
