"""Folders of files, digests of personal data, and base models in the record of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from auditor import Audit, InputError
from auditor.ledger.record_key import RecordKey
from auditor.provenance.personal_data import value_digest

FRAME = pd.DataFrame(
    {"id": [1, 2, 3, 4], "sex": ["F", "M"] * 2, "y": [0, 1, 1, 0],
     "note": ["write to ann@example.org", "none", "or to bob@example.org", "none"]}
)  # fmt: skip
ROLES: dict[str, Any] = {"target": "y", "sensitive": ["sex"], "record_id": "id"}


def entries(run: Path, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "ledger.jsonl").read_text().splitlines()]
    return [line["body"] for line in lines if line["type"] == kind]


def test_an_owner_recognises_a_value_that_nobody_can_read(tmp_path: Path) -> None:
    with Audit(run=tmp_path / "run") as audit:
        audit.data(train=FRAME, **ROLES)
        assert audit.finding("personal_data_rate[email]").value == 0.5
    everything = b"".join(p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file())
    assert b"ann@" not in everything
    key = RecordKey.load(tmp_path / "run.record-key").digest_key()
    assert value_digest("ann@example.org", kind="email", key=key).encode() in everything
    assert value_digest("eve@example.org", kind="email", key=key).encode() not in everything
    assert value_digest("ann@example.org", kind="email", key=b"0" * 32).encode() not in everything
    with pytest.raises(InputError, match="no email is in the value"):
        value_digest("nobody", kind="email", key=key)


def test_a_folder_of_files_is_bound_by_names_and_contents(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "1.png").write_bytes(b"one")
    (folder / "2.png").write_bytes(b"two")
    found: list[dict[str, Any]] = []
    for number in range(3):
        if number == 2:
            (folder / "2.png").rename(folder / "3.png")
        with Audit(run=tmp_path / f"run{number}") as audit:
            audit.data(train=FRAME, **ROLES, folders={"images": folder})
        found.append(entries(tmp_path / f"run{number}", "data")[0]["folders"]["images"])
    assert found[0] == found[1]
    assert (found[0]["files"], found[0]["bytes"]) == (2, 6)
    assert found[0]["suffixes"] == {".png": {"files": 2, "bytes": 6}}
    assert found[2]["root"] != found[0]["root"]
    with Audit() as audit, pytest.raises(InputError, match="none"):
        audit.data(train=FRAME, **ROLES, folders={"images": tmp_path / "none"})


def test_a_base_model_goes_into_the_record_and_its_statement(tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    model = tmp_path / "base"
    model.mkdir()
    save_file({"w": np.zeros((2, 3), np.float32)}, model / "model.safetensors")
    (model / "config.json").write_text('{"architectures": ["Tiny"], "model_type": "tiny"}')
    with Audit(run=tmp_path / "run") as audit:
        manifest = audit.base_model(model, licence="Apache-2.0", name="tiny")
        audit.data(train=FRAME, **ROLES)
        audit.report("report.md")
    (recorded,) = entries(tmp_path / "run", "base-model")
    assert recorded["digest"] == manifest["digest"]
    assert recorded["licence"] == {"value": ["Apache-2.0"], "by": "given"}
    assert "Apache-2.0" in (tmp_path / "run" / "report.md").read_text()
    (packages,) = entries(tmp_path / "run", "packages")
    digest = packages["evidence"].removeprefix("sha256:")
    listed = json.loads((tmp_path / "run" / "evidence" / f"{digest}.json").read_text())
    assert "numpy" in {package["name"] for package in listed["packages"]}
