"""``auditor redact``: a copy of a run for the public."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auditor.cli.options import Json

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("redact", short_help="A copy with small cells withheld that still verifies.")(
        redact
    )


def redact(
    run: Annotated[Path, typer.Argument(help="The folder of a sealed run.")],
    out: Annotated[Path, typer.Option("--out", help="The folder of the copy; new, or empty.")],
    min_cell: Annotated[
        int, typer.Option("--min-cell", help="Withhold slices of fewer records.")
    ] = 10,
    withhold: Annotated[
        list[str] | None,
        typer.Option(
            "--withhold",
            help="Withhold these too: a kind of statistics, or a pattern of file names. "
            "May be repeated.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Write a redacted copy: the ledger and its signature as they are, small cells and chosen
    tables withheld, their digests kept. Everything that is shown still verifies.

    Example: auditor redact runs/credit-7 --out public/credit-7 --min-cell 20
    """
    from auditor.cli.show import console, print_json
    from auditor.verify.redaction import redact_run

    done = redact_run(run, out, smallest=min_cell, withhold=withhold or ())
    if json:
        print_json(
            {"path": str(done.path), "min_cell": done.smallest, "withheld": list(done.files),
             "redacted": dict(done.documents)}
        )  # fmt: skip
    shown = console()
    for name in done.files:
        shown.print(f"withheld  {name}", markup=False, soft_wrap=True)
    for name, rows in done.documents.items():
        shown.print(f"in part   {name}: {rows:,} rows withheld", markup=False, soft_wrap=True)
    shown.print(f"written to {done.path}; auditor verify {done.path}", style="dim", markup=False,
                soft_wrap=True)  # fmt: skip
