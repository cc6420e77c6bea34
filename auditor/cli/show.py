"""What people see in a terminal: the verdict, rule by rule, and the largest gaps."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from auditor.evidence import Finding, Verdict

__all__ = [
    "console",
    "print_json",
    "show_data",
    "show_findings",
    "show_remarks",
    "show_run",
    "show_verdict",
    "working",
]

_STYLES = {
    "pass": ("green", "✓"), "waived": ("cyan", "~"), "fail": ("bold red", "✗"),
    "error": ("bold red", "!"), "inconclusive": ("yellow", "?"), "not-evaluated": ("magenta", "–"),
}  # fmt: skip


_MOST_SHOWN = 40
_MOST_REASONS = 3
_SHOWN = (
    ("mean_error", "mean_absolute_error", "r2_score"),
    ("exposure", "ndkl"),
    ("macro_f1_score", "accuracy", "balanced_accuracy"),
    ("selection_rate", "false_positive_rate", "false_negative_rate", "auc"),
    ("favourable_rate",),
    ("mean_prediction",),
)
"""What is printed of each group, by the kind of what was measured."""

_OF_DATA = frozenset(
    {"duplicate_rate", "duplicate_text_rate", "near_duplicate_rate", "overlap_rate",
     "near_overlap_rate",
     "contained_rate", "entity_overlap_rate", "shared_entity_rate", "personal_data_rate",
     "missing_rate", "leaking_features", "equal_columns", "label_error_rate", "dropped_rate",
     "incompatible_licence_rate", "known_licence_rate", "legal_basis_rate", "drift_auc",
     "contaminated_accuracy", "clean_accuracy", "clean_accuracy_difference"}
)  # fmt: skip
"""What is printed of the data."""

_OF_DRIFT = frozenset({"drift_ks", "drift_total_variation"})
_HINTS = frozenset({"absent_columns", "new_levels", "personal_column_count"})
_MOST_DRIFTED = 10
_SIGN = 0.99
"""Beyond this area one column alone tells the target."""


def console() -> Console:
    """Return the console for people: stderr; names in brackets are no markup."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False)


def working(message: str) -> AbstractContextManager[Any]:
    """Show that something is being done; silent where there is no terminal."""
    return console().status(message)


def print_json(document: Any) -> None:
    """Print JSON on stdout."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True))
    sys.stdout.flush()


def show_verdict(verdict: Verdict, *, title: str = "Verdict") -> None:
    """Print a verdict as a table."""
    from rich.table import Table
    from rich.text import Text

    style, mark = _STYLES[str(verdict.status)]
    table = Table(title=Text(f"{title}: {mark} {verdict.status}, gate {verdict.gate}", style),
                  title_justify="left", box=None, padding=(0, 1))  # fmt: skip
    for name in ("", "rule", "status", "why"):
        table.add_column(name, overflow="fold")
    for rule in verdict.rules:
        style, mark = _STYLES[str(rule.status)]
        # What passed needs no explanation here: the number and its interval are enough.
        why = rule.reason.partition(": ")[0] if str(rule.status) == "pass" else rule.reason
        table.add_row(Text(mark, style), Text(rule.id), Text(str(rule.status), style), Text(why))
    console().print(table)


def show_findings(findings: Sequence[Finding]) -> None:
    """Print the main numbers of each group, with intervals and n; the first 40 groups."""
    from rich.table import Table
    from rich.text import Text

    there = {f.metric for f in findings if f.status == "measured"}
    if not there:
        reasons = list(
            dict.fromkeys(f.reason for f in findings
                          if f.reason and not f.check.startswith("explainability."))
        )[:_MOST_REASONS]  # fmt: skip
        console().print(f"Nothing was measured: {'; '.join(reasons)}.", soft_wrap=True)
    wanted = next((names for names in _SHOWN if there & set(names)), ())
    wanted = tuple(name for name in wanted if name in there)
    slices = {f.slice: None for f in findings if f.metric in wanted and len(f.slice) <= 1
              and f.reference is None and f.over is None}  # fmt: skip
    more = len(slices) - _MOST_SHOWN
    slices = dict.fromkeys(list(slices)[:_MOST_SHOWN])
    table = Table(title="By group, 95 % intervals", title_justify="left", box=None,
                  padding=(0, 1))  # fmt: skip
    table.add_column("slice")
    for name in wanted:
        table.add_column(name, justify="right")
    numbers = {(f.metric, f.slice): f for f in findings
               if f.status == "measured" and f.reference is None and f.over is None}  # fmt: skip
    for where in slices:
        row = [Text(str(where))]
        for name in wanted:
            found = numbers.get((name, where))
            row.append(Text("–" if found is None else _interval(found)))
        table.add_row(*row)
    if slices:
        console().print(table)
    if more > 0:
        console().print(f"{more:,} more groups stand in findings.json.", style="dim")


def show_data(findings: Sequence[Finding]) -> None:
    """Print what was found in the data for everybody: what is not zero, and what was not found."""
    from rich.table import Table
    from rich.text import Text

    everybody = [f for f in findings if f.status == "measured" and not f.slice and f.over is None]
    found = [f for f in everybody if f.base_metric in _OF_DATA]
    there = [f for f in found if f.value]
    drifted = [f for f in everybody if f.base_metric in _OF_DRIFT and _above_zero(f)]
    drifted.sort(key=lambda f: -(f.value or 0))
    hints = [f for f in everybody if f.base_metric in _HINTS and f.value
             and (f.base_metric != "personal_column_count" or _leaf(f) == "special")]  # fmt: skip
    shown = [*there[:_MOST_SHOWN], *drifted[:_MOST_DRIFTED], *hints[:_MOST_SHOWN]]
    if shown:
        table = Table(title="In the data", title_justify="left", box=None, padding=(0, 1))
        for name in ("finding", "value", "n"):
            table.add_column(name, justify="left" if name == "finding" else "right")
        for finding in shown:
            table.add_row(Text(finding.metric), f"{finding.value:.4g}", f"{finding.n:,}")
        console().print(table)
    more = len(there) + len(drifted) + len(hints) - len(shown)
    if more:
        console().print(f"{more:,} more stand in findings.json.", style="dim")
    _show_names("Constant", [_parameter(f) for f in everybody
                             if f.base_metric == "modal_share" and f.value == 1])  # fmt: skip
    _show_names("Tells the target alone", [_parameter(f) for f in everybody if f.value is not None
                                           and f.base_metric == "feature_auc"
                                           and f.value > _SIGN])  # fmt: skip
    # What is zero in one table and not in another stands above.
    told = {f.base_metric for f in there}
    _show_names("Zero", [f.base_metric for f in found if f.base_metric not in told])


def _show_names(what: str, names: Sequence[str]) -> None:
    """Print names on a line, each once."""
    from rich.text import Text

    once = list(dict.fromkeys(names))
    if once:
        more = f", and {len(once) - _MOST_SHOWN:,} more" if len(once) > _MOST_SHOWN else ""
        listed = ", ".join(once[:_MOST_SHOWN])
        console().print(Text(f"{what}: {listed}{more}"), soft_wrap=True)


def _above_zero(finding: Finding) -> bool:
    """Whether the interval that holds for all columns together, or else its own, is above 0."""
    family = [i.low for i in finding.also if "-bonferroni-" in i.method]
    low = family[0] if family else finding.low
    return low is not None and low > 0


def _parameter(finding: Finding) -> str:
    return finding.metric.partition("[")[2].removesuffix("]")


def _leaf(finding: Finding) -> str:
    """Return the parameter without the split before it."""
    return _parameter(finding).rpartition("/")[2]


def show_remarks(remarks: Sequence[str]) -> None:
    """Print what the numbers mean together."""
    for remark in remarks:
        console().print(remark, soft_wrap=True, markup=False)


def show_run(
    run: Path | None, *, signed: bool, key: Path | None = None, record_key: Path | None = None
) -> None:
    """Print where the run is, how it is verified, and where the key of its records is."""
    if run is None:
        console().print("Nothing was kept: give --out DIR for a run folder.", style="dim")
        return
    hint = f"auditor verify {run}" + (f" --key {key}" if key else "")
    note = "" if signed else " (unsigned: no key was given)"
    console().print(f"Run: {run}{note}\nVerify it again: {hint}", soft_wrap=True)
    if record_key is not None:
        console().print(
            f"Key of the records: {record_key} (keep it; auditor prove needs it)", soft_wrap=True
        )


def _interval(finding: Finding) -> str:
    high = "∞" if finding.high is None else f"{finding.high:.3f}"
    return f"{finding.value:.3f} [{finding.low:.3f}, {high}] n={finding.n:,}"
