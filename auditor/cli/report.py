"""``auditor report``: a recorded run as a page, as Markdown or as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auditor.cli.options import Json

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(report)


def report(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    format: Annotated[
        str,
        typer.Option("--format", help="One or more of html, md, json, croissant, as in html,md."),
    ] = "html",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="The folder to write; it must not exist, or be empty. By default, the "
            "run's name and -report, beside where you are.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Render a recorded run, without the model, the data or a GPU. The run is never touched.

    Example: auditor report runs/credit-7 --format html,md --out credit-7-report
    """
    from auditor.cli.show import console, print_json
    from auditor.ledger import RunRecord
    from auditor.ledger.storage import write_atomically
    from auditor.report import FORMATS, make_view

    names = list(dict.fromkeys(name.strip() for name in format.split(",") if name.strip()))
    formats = [FORMATS.get(name, where="--format") for name in names or [""]]
    record = RunRecord.load(run)
    folder = _free(out if out is not None else Path(f"{run.resolve().name}-report"), run=run)
    view = make_view(record)
    rendered = [(f"report{chosen.suffix}", chosen.render(view)) for chosen in formats]
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in rendered:
        write_atomically(folder / name, data)
    written = [str(folder / name) for name, _ in rendered]
    for path in written:
        console().print(f"Report: {path}", markup=False, soft_wrap=True)
    if json:
        print_json({"run": record.name, "head": view.proof.head, "reports": written})


def _free(folder: Path, *, run: Path) -> Path:
    """Return the folder where nothing is in the way; raises :class:`InputError`."""
    from auditor.errors import InputError

    folder = folder.expanduser()
    inside, where = run.expanduser().resolve(), str(folder)
    if folder.resolve() == inside or inside in folder.resolve().parents:
        raise InputError(
            "a report of a finished run is never written into the run", where=where,
            valid="an --out outside of it",
        )  # fmt: skip
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError("the folder is not empty; nothing was overwritten", where=where,
                         valid="choose another --out")  # fmt: skip
    if not folder.is_dir() and (folder.exists() or folder.is_symlink()):
        raise InputError("this is a file, not a folder", where=where, valid="choose another --out")
    return folder
