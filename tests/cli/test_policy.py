from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from auditor.cli.policy import app
from auditor.errors import PolicyError
from auditor.policy import load_policy

RULE = "{id: r, metric: selection_rate_ratio, stage: evaluation, accept: '>= 0.8'}"
GOOD = f"schema: auditor/policy/v1\nid: mine\nversion: 2.0.0\ntitle: Mine\nrules: [{RULE}]\n"


def call(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, PolicyError):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_list_prints_one_line_a_pack_on_stdout() -> None:
    code, out, err = call("list")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == [
        "baseline", "compute-thresholds", "demo-credit", "four-fifths-screen",
    ]  # fmt: skip


def test_list_as_json_names_the_digests() -> None:
    _, out, _ = call("list", "--json")
    found = {item["id"]: item["digest"] for item in json.loads(out)}
    assert found["baseline"] == load_policy("baseline").digest


def test_show_prints_the_resolved_text(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(GOOD.replace("rules", "extends: [baseline]\nrules"))
    code, out, err = call("show", str(path))
    assert (code, err) == (0, "")
    assert out.encode() == load_policy(path).text
    assert "id: selection-parity" in out
    _, out, _ = call("show", str(path), "--json")
    assert json.loads(out)["rules"][-1]["accept"] == ">= 0.8"


def test_check_says_ok_on_stderr_or_as_json_on_stdout(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(GOOD)
    code, out, err = call("check", str(path))
    assert (code, out) == (0, "")
    assert err.startswith("ok: mine 2.0.0, 1 rule, 0 waivers, sha256:")
    _, out, _ = call("check", str(path), "--json")
    assert json.loads(out)["ok"] is True


def test_check_gives_the_place_of_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(GOOD.replace(">= 0.8", "<= 0.8"))
    with pytest.raises(PolicyError, match=r"p\.yaml:5:74: rule r: '<= 0\.8' refuses the ideal"):
        call("check", str(path))
    code, out, _ = call("check", str(path), "--json")
    document = json.loads(out)
    assert code == 2
    assert document["ok"] is False
    assert document["where"] == f"{path}:5:74"


def test_an_error_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(GOOD.replace("metric", "metrik"))
    result = subprocess.run(
        [sys.executable, "-m", "auditor", "policy", "check", str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == (
        f"auditor: {path}:5:17: unknown key 'metrik'; did you mean 'metric'?\n"
    )


def test_schema_is_json_for_editors() -> None:
    code, out, _ = call("schema")
    assert code == 0
    assert json.loads(out)["properties"]["schema"]["const"] == "auditor/policy/v1"


@pytest.mark.parametrize("command", ["", "list", "show", "check", "schema"])
def test_help_shows_an_example(command: str) -> None:
    code, out, _ = call(*command.split(), "--help")
    assert code == 0
    assert "Example: auditor policy" in out


def test_nothing_heavy_is_imported_for_the_help() -> None:
    code = (
        "import sys; import auditor.cli.policy;"
        "heavy = {'numpy', 'pydantic', 'yaml', 'pandas', 'torch', 'duckdb'};"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or None)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
