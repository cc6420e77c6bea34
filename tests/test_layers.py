"""Imports go down the layers only, and the light half of the package stays light."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "transformers", "shap", "sklearn", "fairlearn"}
TABLES = {"pandas", "duckdb", "pyarrow", "scipy", "statsmodels"}


def modules_after(statement: str) -> set[str]:
    """Return the top-level modules that a fresh Python has loaded after a statement."""
    script = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_imports_go_down_the_layers_only(tmp_path: Path) -> None:
    """In a process of its own: the linter sets up the console and the logging of its process."""
    script = (
        "import sys\nfrom importlinter.cli import lint_imports\n"
        f"sys.exit(lint_imports(config_filename='pyproject.toml', cache_dir={str(tmp_path)!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_verifying_judging_and_rendering_need_no_machine_learning() -> None:
    light = ("verify", "policy", "checks", "report", "cli", "ledger", "metrics", "provenance")
    loaded = modules_after("import " + ", ".join(f"auditor.{name}" for name in light))
    assert loaded & HEAVY == set()
    assert loaded & TABLES == set(), "tables are opened where they are used, not at import"


def test_the_package_itself_loads_nothing_heavy() -> None:
    assert modules_after("import auditor") & (HEAVY | TABLES | {"numpy", "pydantic"}) == set()


def test_a_checkpoint_in_safetensors_is_read_without_torch(tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    save_file({"w": np.zeros((3, 4), np.float32)}, tmp_path / "m.safetensors")
    loaded = modules_after(
        "from auditor.provenance import checkpoint_manifest\n"
        f"assert checkpoint_manifest({str(tmp_path / 'm.safetensors')!r})['parameters'] == 12"
    )
    assert loaded & HEAVY == set()


def test_a_statistic_is_read_and_judged_without_machine_learning() -> None:
    loaded = modules_after(
        "from auditor.checks import CHECKS, Evidence\n"
        "from auditor.evidence import Stage\n"
        "from auditor.stats import Attribute, Groups, confusion_counts\n"
        "groups = Groups.declare([Attribute(name='sex', levels=('F', 'M'))])\n"
        "codes = groups.encode({'sex': ['F', 'M']})\n"
        "counts = confusion_counts(groups, codes, [0, 1], [1, 1])\n"
        "check = CHECKS.get('bias.group-metrics')()\n"
        "assert check.derive([Evidence('sha256:0', counts)], Stage.EVALUATION)"
    )
    # scipy.special gives the exact intervals of small groups, when they are asked for.
    assert loaded & (HEAVY | TABLES - {"scipy"}) == set()
