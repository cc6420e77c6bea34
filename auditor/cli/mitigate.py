"""``auditor mitigate``: what each mitigation would reach on a table of scores, and at what cost."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli.options import Bins, Json, Positive, Sensitive, read_bins
from auditor.errors import InputError

if TYPE_CHECKING:
    from auditor.mitigation import Comparison

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("mitigate", short_help="Compare mitigations on a table of scores.")(mitigate)


def mitigate(
    table: Annotated[str, typer.Argument(help="CSV, Parquet or Arrow: a file, folder or glob.")],
    target: Annotated[str, typer.Option(help="The column of true labels.")],
    score: Annotated[str, typer.Option(help="The column of scores.")],
    sensitive: Sensitive,
    threshold: Annotated[
        float, typer.Option(help="Today's threshold: selected where score >= threshold.")
    ] = 0.5,
    positive: Positive = None,
    bins: Bins = None,
    constraint: Annotated[
        str, typer.Option(help="demographic-parity, equal-opportunity or equalized-odds.")
    ] = "demographic-parity",
    accept: Annotated[str, typer.Option(help="What a policy would accept.")] = ">= 0.8",
    recipes: Annotated[
        str | None, typer.Option(help="Recipes to compare, as in group-thresholds,reject-option.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of the split into two halves.")] = 0,
    json: Json = False,
) -> None:
    """Compare post-processing recipes: fitted on one half of the records, measured on the other.

    Recipes that train a model anew are compared from Python: auditor.mitigation.

    Example: auditor mitigate scored.csv --target y --score p --sensitive sex --accept ">= 0.8"
    """
    from auditor.cli.show import console, print_json, working
    from auditor.datasets import open_table
    from auditor.engine.arguments import as_names
    from auditor.engine.mitigation import mitigate_table

    with working("Comparing"), _options_named():
        comparison = mitigate_table(
            open_table(table), target=target, score=score, sensitive=as_names(sensitive),
            threshold=threshold, positive=positive, bins=read_bins(bins), constraint=constraint,
            recipes=None if recipes is None else as_names(recipes), seed=seed,
        )  # fmt: skip
        out = comparison.way_out(accept)
    if json:
        print_json(
            {
                "schema": "auditor/mitigation/v1",
                "comparison": comparison.model_dump(mode="json"),
                "way_out": out.model_dump(mode="json"),
            }
        )
    console().print(_table(comparison))
    console().print(out.sentence, soft_wrap=True)


@contextmanager
def _options_named() -> Generator[None]:
    """Name the option where an argument of the same name was wrong."""
    try:
        yield
    except InputError as error:
        if error.where not in {"constraint", "recipes", "accept"}:
            raise
        raise InputError(error.what, where=f"--{error.where}", valid=error.valid) from None


def _table(comparison: Comparison) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{comparison.constraint}, 95 % intervals", title_justify="left", box=None,
                  padding=(0, 1))  # fmt: skip
    table.add_column("recipe", no_wrap=True)
    for name in ("accuracy", "change", "ratio", "needs the group", ""):
        table.add_column(name, overflow="fold")
    for result in comparison.results:
        cells = [_figure(getattr(result, name)) for name in ("accuracy", "change", "ratio")]
        table.add_row(
            Text(_short(result.recipe, comparison.constraint)), *cells,
            "yes" if result.sensitive_at_prediction else "no",
            Text(result.reason or ("on the front" if result.pareto else "")),
        )  # fmt: skip
    return table


def _short(recipe: str, constraint: str) -> str:
    """Leave the constraint out of a recipe's name: the title says it."""
    return recipe.replace(f"{constraint},", "").replace(f"[{constraint}]", "")


def _figure(estimate: Any) -> str:
    if estimate is None or getattr(estimate, "value", None) is None:
        return "–"
    high = "∞" if estimate.high is None else f"{estimate.high:.3f}"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {high}]"
