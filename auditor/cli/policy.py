"""``auditor policy``: list, show and check policies, and give their JSON Schema to an editor."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from auditor.policy import LoadedPolicy

__all__ = ["app"]

app = typer.Typer(
    help="The policy files: list, show, check, and their schema.\n\n"
    "Example: auditor policy show baseline",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Source = Annotated[
    str, typer.Argument(metavar="ID|FILE", help="A bundled policy, or the path of a policy file.")
]


@app.command(name="list")
def list_policies(as_json: Json = False) -> None:
    """List the bundled policies.

    Example: auditor policy list
    """
    from auditor.policy import bundled_policies

    policies = list(bundled_policies())
    if as_json:
        _print_json([_summary(policy) for policy in policies])
        return
    width = max((len(policy.policy.id) for policy in policies), default=0)
    for policy in policies:
        typer.echo(
            f"{policy.policy.id:<{width}}  {policy.policy.version}  {policy.policy.title or ''}"
        )


@app.command()
def show(source: Source, as_json: Json = False) -> None:
    """Print a policy with everything that it extends resolved, as a run registers it.

    Example: auditor policy show demo-credit
    """
    from auditor.policy import load_policy

    policy = load_policy(source)
    if as_json:
        _print_json(_summary(policy) | {"rules": [_rule(r) for r in policy.policy.rules]})
    else:
        typer.echo(policy.text.decode("utf-8"), nl=False)


@app.command()
def check(
    source: Source,
    as_json: Json = False,
) -> None:
    """Read a policy file and say whether it can be used; otherwise where it is wrong (exit 2).

    Example: auditor policy check policies/consumer-credit.yaml
    """
    from auditor.errors import PolicyError
    from auditor.policy import load_policy

    try:
        policy = load_policy(source)
    except PolicyError as error:
        if not as_json:
            raise
        _print_json({"ok": False, "error": error.what, "where": error.where, "valid": error.valid})
        raise typer.Exit(2) from None
    if as_json:
        _print_json({"ok": True} | _summary(policy))
        return
    rules, waivers = len(policy.policy.rules), len(policy.policy.waivers)
    typer.echo(
        f"ok: {policy.policy.id} {policy.policy.version}, {_count(rules, 'rule')}, "
        f"{_count(waivers, 'waiver')}, {policy.digest}",
        err=True,
    )


@app.command()
def schema() -> None:
    """Print the JSON Schema of policy files, for an editor.

    Example: auditor policy schema > policy.schema.json
    """
    from auditor.policy import policy_schema

    _print_json(policy_schema())


def _summary(policy: LoadedPolicy) -> dict[str, Any]:
    content = policy.policy
    return {
        "id": content.id,
        "version": content.version,
        "title": content.title,
        "as_of": None if content.as_of is None else content.as_of.isoformat(),
        "digest": policy.digest,
        "rule_count": len(content.rules),
        "waiver_count": len(content.waivers),
    }


def _rule(rule: Any) -> dict[str, Any]:
    return {k: v for k, v in rule.model_dump(mode="json").items() if v is not None}


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _print_json(document: Any) -> None:
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
