"""The command as a whole: help with examples, nothing heavy, versions, exit codes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from .conftest import Auditor

COMMANDS = [
    ("demo",), ("init",), ("run",), ("predictions",), ("data",), ("policy", "list"),
    ("policy", "show"), ("policy", "check"), ("policy", "schema"), ("report",), ("verify",),
    ("judge",), ("keys", "new"), ("keys", "show"),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_shows_an_example(
    auditor: Auditor, command: tuple[str, ...]
) -> None:
    done = auditor(*command, "--help")
    assert done.code == 0
    assert f"Example: auditor {' '.join(command)}" in " ".join(done.out.split())


def test_the_version(auditor: Auditor) -> None:
    from auditor import __version__

    assert auditor("--version").out == f"{__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["predictions"], ["verify"], ["judge", "x"], ["--nonsense"]]
)
def test_wrong_usage_is_2(auditor: Auditor, arguments: list[str]) -> None:
    assert auditor(*arguments).code == 2


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["verify", "run"], ["judge", "run", "--policy", "four-fifths-screen"],
     ["report", "run", "--format", "html,md,json", "--out", "out"], ["policy", "list"]],
    ids=lambda a: a[0],
)  # fmt: skip
def test_light_commands_load_no_learning_library(
    auditor: Auditor, table: object, arguments: list[str]
) -> None:
    auditor("predictions", table, "--prediction", "p", "--target", "y", "--sensitive", "sex",
            "--policy", "four-fifths-screen", "--out", "run")  # fmt: skip
    code = (
        "import sys\nsys.argv = ['auditor', *sys.argv[1:]]\n"
        "from auditor.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code in (0, 1, 3), end.code\n"
        "heavy = {'torch', 'transformers', 'shap', 'sklearn', 'fairlearn', 'pandas'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
