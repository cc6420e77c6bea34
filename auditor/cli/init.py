"""``auditor init``: an audit file and a policy to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]

_AUDIT = """\
# What is audited, and how. Run it with: auditor run audit.yaml --out runs/first
schema: auditor/audit/v1
system:
  name: My model
  provider: Who answers for it
  purpose: What it is meant to decide, and for whom
policy: policy.yaml
data:
  test: data/test.parquet        # also train: and validation:; CSV, Parquet, Arrow, or a glob
  target: approved               # the column of true labels
  positive: "1"                  # its positive value
  sensitive: [sex, race]         # the columns of sensitive attributes
  # record_id: id
  # bins: {age: [25, 45, 65]}
predictions:
  table: out/test-predictions.parquet   # with target and sensitive columns in it
  prediction: label
  score: p
stages: [data, evaluation, pre-deployment]
"""

_POLICY = """\
# What is demanded. Check it with: auditor policy check policy.yaml
schema: auditor/policy/v1
id: my-policy
version: 0.1.0
title: What this model must show before it is used
extends: [baseline]
defaults: {confidence: 0.95, min_denominator: 30}
rules:
  - id: selection-parity
    title: Favourable outcomes reach all groups at similar rates
    metric: selection_rate_ratio
    over: [sex, race]
    stage: evaluation
    accept: ">= 0.8"
    on_fail: block
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init", short_help="Write an audit file and a policy to start from.")(init)


def init(
    folder: Annotated[Path, typer.Argument(help="Where the two files go.")] = Path(),
) -> None:
    """Write audit.yaml and policy.yaml to start from. Nothing is overwritten.

    Example: auditor init my-audit
    """
    from auditor.errors import InputError

    files = {folder / "audit.yaml": _AUDIT, folder / "policy.yaml": _POLICY}
    for path in files:
        if path.exists():
            raise InputError("the file exists", where=str(path), valid="another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
        typer.echo(str(path))
    typer.echo("Next: edit both, then auditor run audit.yaml --out runs/first", err=True)
