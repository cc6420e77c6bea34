from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from auditor import resources
from auditor.resources import resource_folder

ROOT = Path(__file__).resolve().parents[1]
PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9.]+)")

in_checkout = pytest.mark.skipif(
    not (ROOT / "constraints.txt").is_file(), reason="not in a checkout"
)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    matches = {line: PIN.fullmatch(line) for line in lines if not line.startswith("#")}
    assert not [line for line, match in matches.items() if match is None]
    return {normal(match[1]): match[2] for match in matches.values() if match}


def files_below(folder: Path) -> set[str]:
    """The relative paths of all files that belong into a wheel."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def run(*command: str | Path, cwd: Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a program that sees neither this checkout nor the settings of this shell."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST", "COV_", "PYTHON", "AUDITOR_"))
    }
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_the_policies_and_templates_are_found() -> None:
    assert (resource_folder("policies") / "baseline.yaml").is_file()
    assert any(resource_folder("templates").iterdir())


def test_the_folder_inside_a_wheel_is_preferred(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "auditor")
    assert resource_folder("policies") == tmp_path / "policies"
    bundled = tmp_path / "auditor" / "_resources" / "policies"
    bundled.mkdir(parents=True)
    assert resource_folder("policies") == bundled


@in_checkout
def test_the_constraints_pin_every_dependency_and_name_no_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    names = {normal(re.split(r"[^A-Za-z0-9._-]", requirement)[0]) for requirement in wanted}
    assert names <= set(pins())
    assert pins()["torch"] == "2.13.0"
    assert not [name for name in pins() if name.startswith(("nvidia", "cuda", "triton"))]


@in_checkout
def test_an_editable_install_copies_nothing_that_could_go_stale(tmp_path: Path) -> None:
    script = "import sys, hatchling.build; hatchling.build.build_editable(sys.argv[1])"
    built = run(sys.executable, "-c", script, tmp_path, cwd=ROOT)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    assert names == ["_auditor.pth"]
    assert not (ROOT / "auditor" / "_resources").exists()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    command = ["-m", "build", "--wheel", "--no-isolation", "--outdir", target, ROOT]
    built = run(sys.executable, *command, cwd=target)
    assert built.returncode == 0, built.stderr
    (path,) = target.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` folder of an environment that has the wheel, and the libraries it stands on.

    The libraries are seen through a ``.pth`` line, so that nothing is downloaded. Such a line
    does not read the ``.pth`` files over there, which hides an editable install of this checkout.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = [sys.executable, "-m", "pip", "--python", scripts / "python", "install"]
    done = run(*pip, "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    assert done.returncode == 0, done.stderr
    outer = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    (site_packages,) = {path.parent for path in folder.rglob("auditor-*.dist-info")}
    (site_packages / "zz_libraries.pth").write_text("\n".join(sorted(outer)), encoding="utf-8")
    return scripts


@in_checkout
@pytest.mark.slow
def test_the_wheel_holds_the_package_its_data_policies_and_templates_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {f"auditor/{name}" for name in files_below(ROOT / "auditor")}
    for folder in ("policies", "templates"):
        below = files_below(ROOT / folder)
        assert below
        expected |= {f"auditor/_resources/{folder}/{name}" for name in below}
    assert names == expected
    assert {
        "auditor/py.typed",
        "auditor/datasets/adult.parquet",
        "auditor/datasets/ADULT.md",
    } < names


@in_checkout
@pytest.mark.slow
def test_the_installed_wheel_is_what_runs(installed: Path, tmp_path: Path) -> None:
    script = "import auditor.resources as r; print(r.__file__, r.resource_folder('policies'))"
    done = run(installed / "python", "-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for place in done.stdout.split():
        assert Path(place).is_relative_to(installed.parent.resolve())


@in_checkout
@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--help"], "predictions"), (["policy", "list"], "four-fifths-screen")],
    ids=["help", "policy-list"],
)
def test_the_installed_command_answers_from_another_folder(
    installed: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    done = run(installed / "auditor", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout + done.stderr


@in_checkout
@pytest.mark.slow
def test_the_installed_demo_works_from_another_folder(installed: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    done = run(installed / "auditor", "demo", "--out", out, cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stderr
    runs = {path.parent.name for path in out.rglob("run.json")}
    assert {"demo-baseline", "demo-mitigated"} <= runs
    for run_folder in ("demo-baseline", "demo-mitigated"):
        (folder,) = out.rglob(run_folder)
        assert {"ledger.jsonl", "verdict.json", "report.html"} <= files_below(folder)
