"""``auditor predictions``: audit a table of predictions, by any model from any vendor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

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
    exit_code,
    read_bins,
    read_membership,
    read_reference,
    read_top,
)

__all__ = ["register"]

_TASKS = "binary, multiclass, regression, ranking or counts"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("predictions", short_help="Audit a table of predictions, by any model.")(
        predictions
    )


def predictions(
    table: Annotated[str, typer.Argument(help="CSV, Parquet or Arrow: a file, folder or glob.")],
    sensitive: Annotated[
        str | None,
        typer.Option("--sensitive", help="Columns of sensitive attributes, as in race,sex."),
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column of true labels.")] = None,
    prediction: Annotated[str | None, typer.Option(help="The column of predictions.")] = None,
    score: Annotated[str | None, typer.Option(help="The column of scores.")] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Predict positive where score >= threshold.")
    ] = None,
    positive: Positive = None,
    task: Annotated[str, typer.Option(help=f"What is predicted: {_TASKS}.")] = "binary",
    bins: Bins = None,
    intersections: Intersections = 2,
    reference: Reference = None,
    weight: Annotated[str | None, typer.Option(help="The column of sampling weights.")] = None,
    frequency: Annotated[
        str | None, typer.Option(help="The column that says for how many records a row stands.")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(help="The column of what records share: a person, a prompt, a template."),
    ] = None,
    strata: Annotated[
        str | None, typer.Option(help="Columns within whose values selection is compared.")
    ] = None,
    query: Annotated[
        str | None, typer.Option(help="Ranking: the column of the list a record belongs to.")
    ] = None,
    top: Annotated[
        str | None, typer.Option(help="Ranking: lengths of the top lists, as in 10,100.")
    ] = None,
    total: Annotated[str | None, typer.Option(help="Counts: the column of group sizes.")] = None,
    selected: Annotated[
        str | None, typer.Option(help="Counts: the column of how many were selected.")
    ] = None,
    membership: Annotated[
        list[str] | None,
        typer.Option(
            help="Probabilities of an unknown attribute: race=White:p_white,Black:p_black. "
            "May be repeated."
        ),
    ] = None,
    unfavourable: Annotated[
        bool, typer.Option("--unfavourable", help="To be selected is the bad outcome.")
    ] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="Sort all scores instead of counting them in bins.")
    ] = False,
    features: Annotated[
        str | None,
        typer.Option(help="Search subgroups over these columns, or over 'all' of them."),
    ] = None,
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
    from auditor.engine.arguments import as_names, role_changes
    from auditor.errors import InputError

    names = as_names(sensitive)
    unknown = read_membership(membership)
    if not names and not unknown:
        raise InputError("no sensitive attribute was named", where="--sensitive",
                         valid="one or more columns")  # fmt: skip
    compared = read_reference(reference, (*names, *unknown)) if reference else None
    given: dict[str, Any] = {
        "target": target, "prediction": prediction, "score": score, "threshold": threshold,
        "positive": positive, "sensitive": names, "bins": read_bins(bins), "task": task,
        "weight": weight, "frequency": frequency, "cluster": cluster, "strata": strata,
        "query": query, "top": read_top(top), "total": total, "selected": selected,
        "membership": unknown, "unfavourable": unfavourable or None,
        "resolution": "exact" if exact else None,
    }  # fmt: skip
    roles = Roles(**role_changes(given))
    _meant_for(task, {**given, "exact": exact or None, "features": features})
    if prediction is None and score is None and task != "counts":
        raise InputError("neither --prediction nor --score was given",
                         valid="the column of predictions, or of scores")  # fmt: skip
    with working("Reading the table"):
        opened = open_table(table)
        roles.check(opened)
    with one_shot(
        out=out, policy=policy, key=sign_key, seed=seed,
        fields=_fields(compared, names, features),
    ) as audit:  # fmt: skip
        with working("Measuring"):
            audit.evaluate(predictions=opened, intersections=intersections, **given)
        verdict = finish(audit, out=out, json=json)
    raise typer.Exit(exit_code(verdict))


_COUNTED = ("binary", "multiclass", "regression", "ranking")
_MEANT_FOR: dict[str, tuple[str, ...]] = {
    "threshold": ("binary",), "positive": ("binary",), "strata": ("binary",),
    "membership": ("binary",), "exact": ("binary",), "unfavourable": ("binary", "counts"),
    "features": ("binary", "multiclass"), "weight": _COUNTED, "frequency": _COUNTED,
    "cluster": _COUNTED, "query": ("ranking",), "top": ("ranking",), "total": ("counts",),
    "selected": ("counts",),
}  # fmt: skip
"""The tasks that read an option; with any other it would be ignored in silence."""


def _meant_for(task: str, given: Mapping[str, Any]) -> None:
    from auditor.errors import InputError

    for option, tasks in _MEANT_FOR.items():
        if given[option] and task not in tasks:
            raise InputError(f"the task {task} does not use it", where=f"--{option}",
                             valid=f"--task {' or '.join(tasks)}")  # fmt: skip


def _fields(
    reference: str | Mapping[str, str] | None, declared: Sequence[str], features: str | None
) -> dict[str, dict[str, Any]]:
    """Return the fields of checks that the command line sets; a policy's stay where it does not.

    A group is a reference for the checks that know its attribute: those of declared attributes,
    or that of probabilities of membership.
    """
    from auditor.checks import CHECKS
    from auditor.engine.arguments import as_names

    fields: dict[str, dict[str, Any]] = {}
    for identifier in CHECKS:
        if reference is None or "reference" not in CHECKS.get(identifier).model_fields:
            continue
        mine = reference
        if not isinstance(reference, str):
            soft = identifier == "bias.soft-membership"
            mine = {k: v for k, v in reference.items() if (k not in declared) is soft}
        if mine:
            fields[identifier] = {"reference": mine}
    if features is not None:
        fields["bias.subgroups"] = {"features": "all" if features == "all" else as_names(features)}
    return fields
