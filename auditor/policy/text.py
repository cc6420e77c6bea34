"""The one way in which a policy is written: what is judged, and nothing left implicit."""

from __future__ import annotations

from typing import Any

import yaml

from auditor.documents import resolved_scalar
from auditor.errors import PolicyError
from auditor.policy.schema import CheckUse, Policy, Rule, Waiver

__all__ = ["policy_text"]


def policy_text(policy: Policy) -> bytes:
    """Return the policy as YAML, defaults written out; equal policies give equal bytes.

    Raises :class:`PolicyError` where a field of a check has no form in YAML.
    """
    document: dict[str, Any] = {
        "schema": policy.format,
        "id": policy.id,
        "version": policy.version,
    }
    if policy.title is not None:
        document["title"] = policy.title
    if policy.as_of is not None:
        document["as_of"] = policy.as_of
    document["defaults"] = policy.defaults.model_dump()
    if policy.checks:
        document["checks"] = [_check(check) for check in policy.checks]
    document["rules"] = [_rule(rule) for rule in policy.rules]
    if policy.waivers:
        document["waivers"] = [_waiver(waiver) for waiver in policy.waivers]
    try:
        # The pure dumper, always: libyaml breaks lines elsewhere, and the digest is of the bytes.
        text = yaml.dump(
            document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100,
            default_flow_style=False,
        )  # fmt: skip
    except yaml.YAMLError as error:
        raise PolicyError(f"cannot be written as YAML: {error}", where=policy.id) from None
    return text.encode("utf-8")


def _check(check: CheckUse) -> Any:
    return {check.id: check.fields} if check.fields else check.id


def _rule(rule: Rule) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for name in Rule.model_fields:
        value = getattr(rule, name)
        if value is None or value == ():
            continue
        document[name] = value
    document["stage"] = str(rule.stage)
    document["accept"] = str(rule.accept)
    for name in ("over", "cites"):
        if name in document:
            document[name] = _Flow(document[name])
    if rule.slice is not None:
        document["slice"] = dict(rule.slice)
    return document


def _waiver(waiver: Waiver) -> dict[str, Any]:
    document: dict[str, Any] = {"rule": waiver.rule}
    if waiver.slice is not None:
        document["slice"] = dict(waiver.slice)
    return document | {"owner": waiver.owner, "reason": waiver.reason, "expires": waiver.expires}


_LINE_ENDS = frozenset("\x85\u2028\u2029")


class _Flow(list[Any]):
    """A list that is written in one line."""


class _Dumper(yaml.SafeDumper):
    """Quotes the texts that would be read as something else, and repeats nothing by alias."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 -- the base class names it
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    read = resolved_scalar(text)
    style = "'" if read != text or isinstance(read, bool) else None
    if _LINE_ENDS.intersection(text):  # the dumper leaves these as they are, and YAML folds them
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _flow(dumper: _Dumper, items: _Flow) -> yaml.SequenceNode:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", list(items), flow_style=True)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(_Flow, _flow)
_Dumper.add_representer(tuple, lambda dumper, items: dumper.represent_list(list(items)))
