"""``auditor predictions``: audit a table of predictions, by any model from any vendor."""

from __future__ import annotations

from typing import Annotated

import typer

from auditor.cli.options import (
    Bins,
    Intersections,
    Json,
    Key,
    Out,
    Policy,
    Positive,
    Reference,
    Sensitive,
    exit_code,
    read_bins,
    read_reference,
)

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("predictions", short_help="Audit a table of predictions, by any model.")(
        predictions
    )


def predictions(
    table: Annotated[str, typer.Argument(help="CSV, Parquet or Arrow: a file, folder or glob.")],
    sensitive: Sensitive,
    target: Annotated[str | None, typer.Option(help="The column of true labels.")] = None,
    prediction: Annotated[str | None, typer.Option(help="The column of predictions.")] = None,
    score: Annotated[str | None, typer.Option(help="The column of scores.")] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Predict positive where score >= threshold.")
    ] = None,
    positive: Positive = None,
    task: Annotated[str, typer.Option(help="What is predicted: binary.")] = "binary",
    bins: Bins = None,
    intersections: Intersections = 2,
    reference: Reference = None,
    policy: Policy = None,
    out: Out = None,
    sign_key: Key = None,
    seed: Annotated[int, typer.Option(help="The seed that the record states.")] = 0,
    json: Json = False,
) -> None:
    """Audit a table of predictions. Without a target, only selection is measured.

    Example: auditor predictions scored.csv --target y --score p --threshold 0.5
    --sensitive race,sex --reference race=White --policy four-fifths-screen --out runs/scored
    """
    from auditor.cli.oneshot import finish, one_shot
    from auditor.cli.show import working
    from auditor.datasets import Roles, open_table
    from auditor.engine.datasets import as_names
    from auditor.errors import InputError

    if task != "binary":
        raise InputError(f"unknown task {task!r}", where="--task", valid="binary")
    names = as_names(sensitive)
    compared = read_reference(reference, names)
    roles = Roles(
        sensitive=names, target=target, prediction=prediction, score=score, threshold=threshold,
        positive=positive, bins=read_bins(bins),
    )  # fmt: skip
    if prediction is None and score is None:
        raise InputError("neither --prediction nor --score was given",
                         valid="the column of predictions, or of scores")  # fmt: skip
    with working("Reading the table"):
        opened = open_table(table)
        roles.check(opened)
    with one_shot(
        out=out, policy=policy, key=sign_key, seed=seed,
        fields={"bias.group-metrics": {"reference": compared, "intersections": intersections}},
    ) as audit:  # fmt: skip
        with working("Measuring"):
            audit.evaluate(
                predictions=opened, target=target, prediction=prediction, score=score,
                threshold=threshold, positive=positive, sensitive=names, bins=roles.bins,
                intersections=intersections,
            )  # fmt: skip
        verdict = finish(audit, out=out, json=json)
    raise typer.Exit(exit_code(verdict))
