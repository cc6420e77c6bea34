"""``auditor demo``: a model that a policy stops, the way out, and both side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli.options import Json

if TYPE_CHECKING:
    from auditor.engine.demonstration import DemoRun
    from auditor.evidence import Finding

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", short_help="A model that a policy stops, and the way out.")(demo)


def demo(
    out: Annotated[
        Path, typer.Option("--out", help="Where demo-baseline and demo-mitigated go.")
    ] = Path("runs"),
    seed: Annotated[int, typer.Option(help="The seed of data split and training.")] = 0,
    json: Json = False,
) -> None:
    """Train on the embedded Adult data under audit, gate, mitigate, gate again, and compare.

    Example: auditor demo --out runs
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from auditor.cli.show import console, print_json, show_verdict
    from auditor.engine.demonstration import run_demo

    screen = console()
    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("", total=1.0)
        baseline, mitigated = run_demo(
            out, seed=seed,
            progress=lambda text, done: bar.update(task, description=text, completed=done),
        )  # fmt: skip
    show_verdict(baseline.verdict, title="1. The model as it was trained")
    screen.print()
    show_verdict(mitigated.verdict, title="2. Group-balanced loss, and thresholds by group")
    screen.print()
    _show_comparison(baseline, mitigated)
    screen.print(
        f"\nReports: {baseline.path / 'report.html'}\n         {mitigated.path / 'report.html'}\n"
        f"Verify:  auditor verify {baseline.path} --key {out / 'demo.key.pub'}",
        markup=False, soft_wrap=True,
    )  # fmt: skip
    if json:
        print_json(
            {
                name: {"path": str(run.path), "status": str(run.verdict.status),
                       "gate": run.verdict.gate}
                for name, run in (("baseline", baseline), ("mitigated", mitigated))
            }
        )  # fmt: skip


def _show_comparison(baseline: DemoRun, mitigated: DemoRun) -> None:
    from rich.table import Table

    from auditor.cli.show import console
    from auditor.engine.demonstration import COMPARED

    table = Table(title="3. Side by side, on the same test records, 95 % intervals",
                  title_justify="left", box=None, padding=(0, 1))  # fmt: skip
    for name in ("measure", "slice", "as trained", "mitigated"):
        table.add_column(name)
    pairs = zip(COMPARED, baseline.compared(), mitigated.compared(), strict=True)
    for (metric, where), before, after in pairs:
        slice_text = ", ".join(where.values()) or "everybody"
        table.add_row(metric, slice_text, _shown(before), _shown(after))
    console().print(table)


def _shown(finding: Finding | None) -> str:
    if finding is None or finding.value is None or finding.low is None or finding.high is None:
        return "not measured"
    return f"{finding.value:.3f} [{finding.low:.3f}, {finding.high:.3f}]"
