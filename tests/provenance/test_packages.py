from __future__ import annotations

import json
import random
from importlib import metadata
from pathlib import Path

import pytest

from auditor.evidence import canonical_json, sha256
from auditor.provenance import packages, packages_manifest
from auditor.provenance.packages import record_digest

RECORD = [
    "p/__init__.py,sha256=abc,10",
    "p/core.py,sha256=def,20",
    "p-1.0.dist-info/METADATA,sha256=ghi,30",
    "p-1.0.dist-info/RECORD,,",
    "p-1.0.dist-info/INSTALLER,sha256=pip,4",
    "p/__pycache__/core.cpython-311.pyc,,",
    "../../../bin/p,sha256=path-of-an-interpreter,5",
]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place of packages, and no other."""
    monkeypatch.setattr(
        packages, "distributions", lambda: metadata.distributions(path=[str(tmp_path)])
    )
    return tmp_path


def install(site: Path, name: str, *, record: list[str] | None = None, **files: str) -> Path:
    folder = site / f"{name}-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    if record is not None:
        (folder / "RECORD").write_text("\n".join(record))
    for file, content in files.items():
        (folder / file.replace("__", ".")).write_text(content)
    return folder


def test_every_package_has_its_version_and_digest(site: Path) -> None:
    install(site, "My_Package", record=RECORD)
    install(site, "bare")
    found = packages_manifest()
    assert [p["name"] for p in found["packages"]] == ["bare", "my-package"]
    assert found["packages"][0]["digest"] is None
    kept = "\n".join(sorted(RECORD[:3])).encode()
    assert found["packages"][1]["digest"] == sha256(kept)
    assert found["digest"] == sha256(canonical_json(found["packages"]))


def test_the_order_of_the_record_and_what_installers_add_do_not_matter() -> None:
    shuffled = RECORD[:]
    random.Random(0).shuffle(shuffled)
    assert record_digest(shuffled) == record_digest(RECORD) == record_digest(RECORD[:3])
    changed = [line.replace("def", "deg") for line in RECORD]
    assert record_digest(changed) != record_digest(RECORD)
    assert record_digest(RECORD[3:]) is None


def test_an_editable_install_says_so_and_has_no_digest(site: Path) -> None:
    origin = {"url": "file:///somewhere", "dir_info": {"editable": True}}
    install(site, "mine", record=RECORD, direct_url__json=json.dumps(origin))
    (found,) = packages_manifest()["packages"]
    assert (found["editable"], found["digest"]) == (True, None)
    assert "somewhere" not in canonical_json(packages_manifest()).decode()


@pytest.mark.parametrize("content", ["no json", "[]", '{"dir_info": 3}', "[" * 100_000])
def test_an_origin_that_is_none_is_not_editable(content: str, site: Path) -> None:
    install(site, "mine", record=RECORD, direct_url__json=content)
    (found,) = packages_manifest()["packages"]
    assert not found["editable"]
    assert found["digest"] is not None


def test_the_packages_here_are_those_of_the_interpreter() -> None:
    found = {p["name"]: p for p in packages_manifest()["packages"]}
    assert found["numpy"]["version"] == metadata.version("numpy")
    assert found["numpy"]["digest"].startswith("sha256:")
    assert list(found) == sorted(found)
