"""``auditor judge``: recorded evidence, judged by another policy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auditor.cli.options import Json, exit_code

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("judge", short_help="Judge recorded evidence by another policy.")(judge)


def judge(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    policy: Annotated[str, typer.Option("--policy", help="A policy file, or a bundled id.")],
    stage: Annotated[str, typer.Option(help="Judge the rules up to this stage.")] = (
        "pre-deployment"
    ),
    at: Annotated[
        str | None, typer.Option("--at", help="The moment to hold waivers against (UTC).")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="A new folder for verdict.json and policy.yaml.")
    ] = None,
    json: Json = False,
) -> None:
    """Judge the evidence of a run again, without the model, the data or a GPU.

    Example: auditor judge runs/credit-7 --policy four-fifths-screen --out judged
    """
    from auditor.cli.show import print_json, show_verdict
    from auditor.errors import InputError
    from auditor.evidence import Stage, canonical_json
    from auditor.ledger import RunFolder, RunRecord, check_integrity
    from auditor.policy import load_policy
    from auditor.verify import judge_run

    if stage not in list(Stage):
        raise InputError(f"unknown stage {stage!r}", where="--stage", valid=", ".join(Stage))
    loaded = load_policy(policy)
    record = RunRecord.load(run, sealed=True)
    verdict = judge_run(record, loaded, evaluated_at=_moment(at), stage=Stage(stage))
    document = verdict.to_json() | {"run": record.name, "head": check_integrity(run).head_digest}
    if out is not None:
        folder = RunFolder.create(out)
        folder.write("verdict.json", canonical_json(document))
        folder.write("policy.yaml", loaded.text)
    if json:
        print_json(document)
    title = f"Verdict of {loaded.policy.id} on {record.name}"
    show_verdict(verdict, title=title + ("" if verdict.registered else " (not registered)"))
    raise typer.Exit(exit_code(verdict.status))


def _moment(text: str | None) -> str | None:
    from datetime import UTC, datetime

    from auditor.errors import InputError

    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"{text!r} is not a time", where="--at", valid="2026-11-01 or 2026-11-01T12:00:00Z"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
