"""What is evaluated is what entry 0 announced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from auditor import Audit, InputError
from auditor.ledger import RunRecord

TRAIN = pd.DataFrame(
    {"id": range(40), "sex": ["F", "M"] * 20, "x": range(40), "y": [0, 1, 1, 0] * 10}
)
TEST = TRAIN.head(20).assign(id=range(100, 120), x=range(50, 70))
ROLES: dict[str, Any] = {"target": "y", "sensitive": ["sex"], "record_id": "id"}


def entries(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "ledger.jsonl").read_text().splitlines()]


def test_entry_0_names_the_test_data_before_anything_is_measured(tmp_path: Path) -> None:
    with Audit(run=tmp_path / "run") as audit:
        audit.data(train=TRAIN, test=TEST, **ROLES)
    first, data, *rest = entries(tmp_path / "run")
    manifest = data["body"]["tables"]["test"]
    assert first["body"]["evaluation"] == {
        "split": "test", "digest": manifest["digest"], "rows": 20
    }  # fmt: skip
    measured = [entry for entry in rest if entry["type"] == "measurement"]
    assert measured
    assert all(entry["body"]["data"]["test"] == manifest["digest"] for entry in measured
               if "reason" not in entry["body"])  # fmt: skip


def test_predictions_of_the_registered_rows_in_any_order_are_evaluated(tmp_path: Path) -> None:
    shuffled = TEST.assign(p=1 - TEST.y).sample(frac=1, random_state=0)
    with Audit(run=tmp_path / "run") as audit:
        audit.data(train=TRAIN, test=TEST, **ROLES)
        audit.evaluate(predictions=shuffled, prediction="p")
        assert audit.finding("accuracy", sex="F").value == 0
    last = [e["body"] for e in entries(tmp_path / "run") if e["type"] == "measurement"
            and e["body"]["stage"] == "evaluation" and "reason" not in e["body"]]  # fmt: skip
    assert last
    assert {tuple(sorted(body["data"])) for body in last} == {("predictions", "test")}


@pytest.mark.parametrize(
    "other",
    [
        TEST.head(19),
        pd.concat([TEST, TEST.tail(1)]),
        TEST.assign(id=TEST.id + 1),
        pd.concat([TEST.head(19), TEST.head(1)]),
    ],
    ids=["one less", "one more", "other ids", "one twice, one missing"],
)
def test_predictions_of_other_rows_are_refused(tmp_path: Path, other: pd.DataFrame) -> None:
    audit = Audit(run=tmp_path / "run")
    audit.data(train=TRAIN, test=TEST, **ROLES)
    with pytest.raises(InputError, match="not the predictions for the registered test data"):
        audit.evaluate(predictions=other.assign(p=1), prediction="p")
    audit.evaluate(predictions=other.assign(p=1), prediction="p", stage="monitoring")
    audit.close()


def test_without_ids_the_shared_columns_tell_the_records(tmp_path: Path) -> None:
    roles = {**ROLES, "record_id": None}
    with Audit() as audit:
        audit.data(test=TEST.drop(columns="id"), **roles)
        audit.evaluate(predictions=TEST.drop(columns="id").assign(p=TEST.y), prediction="p")
        assert audit.finding("accuracy", sex="M").value == 1
        with pytest.raises(InputError, match="not the predictions"):
            audit.evaluate(predictions=TEST.assign(x=0, p=TEST.y), prediction="p")


def test_predictions_alone_are_what_entry_0_names(tmp_path: Path) -> None:
    with Audit(run=tmp_path / "run") as audit:
        audit.evaluate(predictions=TEST.assign(p=1), prediction="p", **ROLES)
    first = entries(tmp_path / "run")[0]["body"]
    assert first["evaluation"]["split"] == "predictions"
    assert first["evaluation"]["rows"] == 20


def test_a_run_without_data_is_registered_all_the_same(tmp_path: Path) -> None:
    with Audit(run=tmp_path / "run"):
        pass
    record = RunRecord.load(tmp_path / "run", sealed=True)
    assert record.ledger.registration is not None
    assert "evaluation" not in record.ledger.registration.body
