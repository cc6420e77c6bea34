"""``make bench``: speed and cost, as ratios measured side by side in one run.

Prints a table and writes ``results.json`` beside this file, with the machine named. Every figure is
the median over repetitions in which the two sides take turns, so that a machine whose speed drifts
slows both.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from digests import digest_benchmarks
from groups import (
    aequitas_groups,
    auc,
    bootstrap,
    group_metrics,
    growth,
    one_matrix,
    torch_rates,
)  # fmt: skip
from ledger import ledger_benchmarks
from loop import loop_benchmarks, watching
from measuring import Row, side_by_side, timed
from membership import committing, proving, recording
from overlap import documents_per_second, near_against_datasketch, near_against_rensa
from personal_data import hostile, numbers, ordinary_text, packages
from quality import drift, feature_quality
from signing import signing
from tables import memory, scan

RESULTS = Path(__file__).resolve().parent / "results.json"


def explanations(records: int) -> Row:
    """Expected gradients, against shap's GradientExplainer at equal samples."""
    import shap
    import torch

    from auditor.explain import explain

    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(100, 128), torch.nn.SiLU(), torch.nn.Linear(128, 64), torch.nn.SiLU(),
        torch.nn.Linear(64, 1),
    )  # fmt: skip
    x, background = torch.randn(records, 100), torch.randn(100, 100)
    explainer = shap.GradientExplainer(model, background)
    return {
        "what": f"expected gradients, MLP of 100 features, {records} records, 200 samples",
        "against": "shap GradientExplainer",
        "bound": ">= 100",
        **side_by_side(
            lambda: explain(model, x, background, samples=200),
            lambda: explainer.shap_values(x, nsamples=200),
            runs=3,
        ),
    }


def command(arguments: list[str], *, what: str, bound: str, codes: set[int]) -> Row:
    """The time of a whole command."""

    def call() -> None:
        done = subprocess.run(
            [sys.executable, "-m", "auditor", *arguments], capture_output=True, check=False
        )
        if done.returncode not in codes:
            raise RuntimeError(done.stderr.decode())

    call()
    seconds = statistics.median(timed(call) for _ in range(7))
    python = statistics.median(
        timed(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True)) for _ in range(7)
    )
    return {
        "what": what,
        "against": "an empty Python (seconds)",
        "bound": bound,
        "ratio": seconds,
        "ours_seconds": seconds,
        "theirs_seconds": python,
        "runs": 7,
    }


def machine() -> dict[str, Any]:
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "accelerator": None,
        "python": platform.python_version(),
        "system": platform.system(),
    }


def benchmarks(*, quick: bool, run: Path) -> list[Callable[[], Row]]:
    rows = 100_000 if quick else 1_000_000
    sizes = (rows // 10,) if quick else (rows // 10, rows * 10)
    compared = (group_metrics, torch_rates, aequitas_groups, one_matrix, auc, scan)
    return [
        lambda: group_metrics(rows),
        lambda: scan(rows * 10),
        lambda: auc(rows),
        lambda: watching(
            "the audit", "<= 0.02", steps=100 if quick else 400, pairs=3 if quick else 9
        ),
        lambda: explanations(50 if quick else 200),
        lambda: command(["--help"], what="auditor --help", bound="<= 0.3", codes={0}),
        lambda: command(
            ["verify", str(run)], what="auditor verify, demo run", bound="<= 1.5", codes={0, 3}
        ),
        lambda: growth(rows),
        lambda: growth(rows * 10),
        lambda: torch_rates(rows),
        lambda: aequitas_groups(rows),
        lambda: one_matrix(rows),
        lambda: scan(rows),
        *(
            lambda one=one, size=size: one(size)
            for size in sizes
            for one in compared
            if (one, size) != (scan, rows * 10)
        ),
        lambda: bootstrap(rows, 1_000),
        lambda: memory(rows * 10, wide=False),
        lambda: memory(rows * 10, wide=True),
        *provenance_benchmarks(rows, quick=quick),
        *loop_benchmarks(quick=quick)[1:],
    ]


def provenance_benchmarks(rows: int, *, quick: bool) -> list[Callable[[], Row]]:
    """Digests, overlap, personal data, quality, signatures, membership and the ledger."""
    part = 10 if quick else 1
    return [
        *digest_benchmarks(quick=quick),
        lambda: near_against_rensa(200_000 // part),
        lambda: documents_per_second(200_000 // part),
        lambda: near_against_datasketch(10_000 // part),
        lambda: ordinary_text(20_000_000 // part),
        lambda: numbers(100_000 // part),
        lambda: hostile(500_000 // part),
        packages,
        lambda: feature_quality(200_000 // part),
        lambda: drift(200_000 // part),
        lambda: signing(256 // part),
        lambda: signing(256 // part, verify=True),
        lambda: committing(rows),
        lambda: recording(400 // part),
        lambda: proving(rows),
        *ledger_benchmarks(quick=quick),
    ]


def simulations() -> dict[str, Any]:
    """What the slow tests found: coverage, error rates and power, with their fixed seeds."""
    root = RESULTS.parents[2]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figures.json"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "--quiet", "-m", "slow", "--numprocesses", "auto",
             *(f"tests/{name}" for name in ("metrics", "policy", "discovery", "mitigation",
                                         "checks", "provenance"))],
            cwd=root, env=os.environ | {"AUDITOR_FIGURES": str(path), "OMP_NUM_THREADS": "1"},
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError("a simulation failed; its output stands above")
        return json.loads(path.read_text())


def meets(row: Row) -> bool | None:
    """Whether a row meets its bound: its ratio does, or what it measured in a unit of its own."""
    figure = row.get("measured", row.get("ratio"))
    if figure is None or row["bound"] == "none":
        return None
    sign, limit, *_ = row["bound"].split()
    return figure >= float(limit) if sign == ">=" else figure <= float(limit)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller inputs, nothing written")
    parser.add_argument("--only", help="measure again the rows whose number is listed: 6,7")
    parser.add_argument("--simulations", action="store_true", help="only run these again")
    arguments = parser.parse_args()
    quick = arguments.quick
    chosen = {int(number) for number in (arguments.only or "").split(",") if number}
    before = json.loads(RESULTS.read_text()) if chosen or arguments.simulations else {}
    earlier = before.get("results", [])
    if arguments.simulations:
        before["simulations"] = simulations()
        RESULTS.write_text(json.dumps(before, indent=2) + "\n")
        return
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "auditor", "demo", "--out", folder], check=True,
            capture_output=True,
        )  # fmt: skip
        results: list[Row] = []
        planned = benchmarks(quick=quick, run=Path(folder) / "demo-baseline")
        for number, benchmark in enumerate(planned, start=1):
            if chosen and number not in chosen:
                results += earlier[number - 1 : number]
                continue
            row = benchmark()
            row["met"] = meets(row)
            results.append(row)
            shown = {True: "ok  ", False: "MISS", None: "none"}[row["met"]]
            value = row.get("measured", row.get("ratio"))
            figure = "-" if value is None else f"{value:.3g}"
            print(
                f"{shown} {figure:>10} {row['bound']:>9}  {row['what']}  |  {row['against']}"
                + (f" ({row['reason']})" if "reason" in row else ""),
                flush=True,
            )
    if not quick:
        document = {
            "schema": "auditor/benchmarks/v1",
            "date": datetime.now(UTC).date().isoformat(),
            "machine": machine(),
            "results": results,
            "simulations": before.get("simulations") if chosen else simulations(),
        }
        RESULTS.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
