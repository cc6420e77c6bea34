from __future__ import annotations

import getpass
import json
import os
import platform
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from auditor.evidence import canonical_json, sha256
from auditor.provenance import environment
from auditor.provenance.environment import code_state, machine


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.org",
         *arguments],
        check=True, capture_output=True,
    )  # fmt: skip


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "train.py").write_text("print(1)\n")
    (tmp_path / ".gitignore").write_text("runs/\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_the_circumstances_are_canonical_and_name_neither_people_nor_hosts() -> None:
    found = environment()
    text = canonical_json(found).decode()
    assert found["python"] == platform.python_version()
    assert found["packages"]["numpy"]
    assert "transformers" not in found["packages"] or found["packages"]["transformers"]
    assert found["machine"]["cores"] >= 1
    assert found["machine"]["memory_bytes"] > 2**20
    assert socket.gethostname() not in text.split('"')
    assert getpass.getuser() not in text.split('"')


def test_a_clean_commit_is_clean(repository: Path) -> None:
    state = code_state(repository)
    assert state is not None
    assert len(state["commit"]) == 40
    assert (state["dirty"], state["changes"], state["untracked"]) == (False, None, 0)


def test_a_change_that_is_not_committed_has_a_digest(repository: Path) -> None:
    (repository / "train.py").write_text("print(2)\n")
    one = code_state(repository)
    (repository / "train.py").write_text("print(3)\n")
    other = code_state(repository)
    assert one is not None
    assert other is not None
    assert one["dirty"]
    assert one["changes"].startswith("sha256:")
    assert one["changes"] != other["changes"]
    assert one["commit"] == other["commit"]


def test_a_file_that_git_does_not_know_is_no_clean_state(repository: Path) -> None:
    (repository / "new.py").write_text("print(1)\n")
    (repository / "runs").mkdir()
    (repository / "runs" / "ignored").touch()
    state = code_state(repository)
    assert state is not None
    assert (state["dirty"], state["untracked"], state["changes"]) == (True, 1, None)


def test_no_repository_is_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert code_state(tmp_path) is None
    monkeypatch.setenv("PATH", "")
    assert code_state(tmp_path) is None


def test_a_repository_without_a_commit_is_no_state(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert code_state(tmp_path) is None


def test_accelerators_are_those_that_torch_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    properties = SimpleNamespace(name="H", total_memory=1 << 30)
    torch = SimpleNamespace(
        accelerator=SimpleNamespace(
            is_available=lambda: True, current_accelerator=lambda: "cuda", device_count=lambda: 2
        ),
        cuda=SimpleNamespace(get_device_properties=lambda index: properties),
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    entry: dict[str, Any] = {"type": "cuda", "name": "H", "memory_bytes": 1 << 30}
    assert machine()["accelerators"] == [entry | {"index": 0}, entry | {"index": 1}]


def test_source_that_git_does_not_know_has_a_digest(repository: Path) -> None:
    (repository / "data.csv").write_text("a\n")
    state = code_state(repository)
    assert state is not None
    assert (state["untracked"], state["untracked_source"]) == (1, None)
    digests: set[str] = set()
    for name, content in (("new.py", "1"), ("new.py", "2"), ("other.py", "2")):
        (repository / name).write_text(content)
        changed = code_state(repository)
        assert changed is not None
        digests.add(changed["untracked_source"])
    assert len(digests) == 3


def test_a_link_or_a_large_file_is_no_source(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "link.py").symlink_to("/etc/hostname")
    (repository / "large.py").write_text("x" * 100)
    monkeypatch.setattr(sys.modules["auditor.provenance.environment"], "_LARGEST", 99)
    state = code_state(repository)
    assert state is not None
    assert (state["untracked"], state["untracked_source"]) == (2, None)


def run_python(*arguments: str, folder: Path, text: str | None = None) -> Any:
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=os.environ | {"PYTHONPATH": root},
        input=text, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


SCRIPT = "import json\nfrom auditor.provenance.environment import main_script\n"
SCRIPT += "print(json.dumps(main_script()))\n"


@pytest.mark.slow
def test_the_script_that_runs_has_its_name_and_digest(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    digest = sha256(SCRIPT.encode())
    started = run_python(str(tmp_path / "train.py"), folder=tmp_path)
    assert started == {"kind": "script", "name": "train.py", "digest": digest}
    assert run_python("-m", "train", folder=tmp_path) == {
        "kind": "module", "name": "train", "digest": digest,
    }  # fmt: skip
    nothing = {"name": None, "digest": None}
    assert run_python("-c", SCRIPT, folder=tmp_path) == {"kind": "interactive"} | nothing
    notebook = "import sys; sys.modules['ipykernel'] = sys\n" + SCRIPT
    assert run_python("-c", notebook, folder=tmp_path) == {"kind": "notebook"} | nothing
