"""``auditor data``: audit data sets before any model."""

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
    exit_code,
    read_bins,
    read_named,
)

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("data", short_help="Audit data sets, before any model.")(data)


def data(
    train: Annotated[str, typer.Argument(help="The training data: a file, folder or glob.")],
    test: Annotated[str | None, typer.Argument(help="The test data.")] = None,
    target: Annotated[str | None, typer.Option(help="The column of labels.")] = None,
    sensitive: Annotated[
        str | None,
        typer.Option(help="Columns of sensitive attributes, as in race,sex; none for text alone."),
    ] = None,
    validation: Annotated[str | None, typer.Option(help="The validation data.")] = None,
    record_id: Annotated[str | None, typer.Option(help="The column of record ids.")] = None,
    positive: Positive = None,
    task: Annotated[
        str, typer.Option("--task", help="binary, multiclass or regression.")
    ] = "binary",
    bins: Bins = None,
    intersections: Intersections = 2,
    schema: Annotated[
        str | None,
        typer.Option(help="Types under which records are digested, as in 'age: int, sex: string'."),
    ] = None,
    sources: Annotated[
        str | None,
        typer.Option(help="Where the data come from: an auditor/sources/v1 or Croissant file."),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(help="Columns of free text, in which near duplicates are looked for."),
    ] = None,
    entity: Annotated[
        str | None,
        typer.Option(help="The column of what records share (a patient, a user)."),
    ] = None,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(help="A table that nobody may have trained on: NAME=FILE. May be repeated."),
    ] = None,
    folder: Annotated[
        list[str] | None,
        typer.Option(help="A folder of files that belong to the data: NAME=DIR. May be repeated."),
    ] = None,
    production: Annotated[
        str | None, typer.Option(help="Records as they come in after deployment: a table.")
    ] = None,
    population: Annotated[
        str | None,
        typer.Option(help="Shares or counts of the groups in the reference population: a table."),
    ] = None,
    population_column: Annotated[
        str | None, typer.Option(help="The column of that table with the shares or counts.")
    ] = None,
    annotators: Annotated[
        str | None, typer.Option(help="Columns of labels by several annotators, as in a1,a2,a3.")
    ] = None,
    proxies: Annotated[
        bool, typer.Option("--proxies", help="Measure how well features predict the attributes.")
    ] = False,
    features: Annotated[
        str | None, typer.Option(help="The features, where they are not all other columns.")
    ] = None,
    policy: Policy = None,
    out: Out = None,
    sign_key: Key = None,
    seed: Annotated[int, typer.Option(help="The seed that the record states.")] = 0,
    json: Json = False,
) -> None:
    """Audit data sets: base rates, missing values, repeated rows, overlap, personal data, drift
    and quality, and where asked representation, disagreement of annotators, and proxies.

    Example: auditor data train.parquet test.parquet --target approved --sensitive sex,race
    --record-id id --policy baseline --out runs/data
    """
    from auditor.cli.oneshot import finish, one_shot
    from auditor.cli.show import working
    from auditor.datasets import Roles, open_table
    from auditor.datasets.tasks import check_data
    from auditor.engine.arguments import as_names, task_named
    from auditor.errors import InputError

    if features is not None and not proxies:
        raise InputError("nothing would look at them", where="--features",
                         valid="--proxies beside it")  # fmt: skip
    names = as_names(sensitive)
    roles = Roles(
        sensitive=names, target=target, positive=positive, record_id=record_id,
        bins=read_bins(bins), task=task_named(task),
    )  # fmt: skip
    given = {"train": train, "validation": validation, "test": test}
    with working("Reading the tables"):
        tables = {
            split: open_table(source) for split, source in given.items() if source is not None
        }
        for table in tables.values():
            check_data(table, roles)
    with one_shot(out=out, policy=policy, key=sign_key, seed=seed) as audit:
        with working("Measuring"):
            audit.data(
                **tables, target=target, sensitive=names, record_id=record_id, positive=positive,
                bins=roles.bins, task=task, intersections=intersections, population=population,
                population_column=population_column, annotators=as_names(annotators),
                proxies=proxies, features=as_names(features), text=as_names(text), entity=entity,
                schema=schema, sources=sources or (),
                benchmarks=read_named(benchmark, option="--benchmark"), production=production,
                folders=read_named(folder, option="--folder"),
            )  # fmt: skip
        verdict = finish(audit, out=out, json=json, stage="data")
    raise typer.Exit(exit_code(verdict))
