"""How the data were made is in the ledger, and is tied to what was registered by content."""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pytest

from auditor import Audit, InputError

RAW = pd.DataFrame({"id": range(30), "sex": ["F", "M", None] * 10, "y": [0, 1] * 15})
ROLES: dict[str, Any] = {"target": "y", "sensitive": ["sex"], "record_id": "id"}


class Size(enum.Enum):
    LARGE = "person-9"


def bodies(run: Path, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "ledger.jsonl").read_text().splitlines()]
    return [line["body"] for line in lines if line["type"] == kind]


def test_prepared_data_lead_back_to_their_source(tmp_path: Path) -> None:
    audit = Audit(run=tmp_path / "run")

    @audit.preparation(groups=["sex"])
    def drop_unknown(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.dropna(subset=["sex"])

    audit.derive(RAW, "census 1994", {"name": "read", "kind": "load"})
    clean = drop_unknown(RAW)
    train, test = clean.head(12), clean.tail(8)
    audit.derive({"train": train, "test": test}, clean,
                 {"name": "split", "kind": "split", "seed": 0})  # fmt: skip
    audit.data(train=train, test=test, **ROLES)
    audit.close()

    registered = bodies(tmp_path / "run", "data")[0]["tables"]
    load, step, split = bodies(tmp_path / "run", "derivation")
    assert load["inputs"][0]["id"] == "source:census 1994"
    assert step["outputs"] == [{**split["inputs"][0], "name": "drop_unknown"}]
    assert "groups" not in step["how"]  # what may be few is no part of the ledger
    (groups,) = bodies(tmp_path / "run", "derivation-groups")
    digest = groups["evidence"].removeprefix("sha256:")
    counted = json.loads((tmp_path / "run" / "evidence" / f"{digest}.json").read_text())
    assert counted["rows"] == [["sex", "F", 10, 10], ["sex", "M", 10, 10], ["sex", None, 10, 0]]
    made = {data["name"]: data["id"] for data in split["outputs"]}
    assert made == {name: registered[name]["digest"] for name in ("train", "test")}


def test_entry_0_comes_first_though_data_are_prepared_before(tmp_path: Path) -> None:
    with Audit(run=tmp_path / "run") as audit:
        audit.derive(RAW.head(5), RAW, "head")
        audit.data(test=RAW, **ROLES)
    lines = (tmp_path / "run" / "ledger.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["type"] for line in lines]
    assert kinds[:3] == ["register", "derivation", "data"]
    assert json.loads(lines[0])["body"]["evaluation"]["split"] == "test"


def test_a_function_that_fails_fails_as_before_and_is_recorded(tmp_path: Path) -> None:
    with Audit(run=tmp_path / "run") as audit:
        prepared = audit.preparation(lambda frame: frame["nothing"], name="wrong")
        with pytest.raises(KeyError):
            prepared(RAW)
    (step,) = bodies(tmp_path / "run", "derivation")
    assert step["how"]["error"] == "KeyError"
    assert "outputs" not in step or not step["outputs"]


def test_no_id_no_name_and_no_path_goes_into_the_record_with_the_parameters(
    tmp_path: Path,
) -> None:
    with Audit(run=tmp_path / "run") as audit:

        @audit.preparation
        def keep(
            frame: pd.DataFrame, ids: list[str], where: str, columns: list[str], share: float,
            but: str, by: str, how: Literal["inner", "outer"] = "inner", unit: str = "days",
            last: Any = None,
        ) -> pd.DataFrame:  # fmt: skip
            return frame[columns].head(3 if unit == "weeks" else 2)

        keep(RAW, ["person-7"], "/home/somebody/private/Lovelace.csv", ["id", "y"], 0.5, "Lovelace",
             "sex", "outer", "weeks", Size.LARGE)  # fmt: skip
    (step,) = bodies(tmp_path / "run", "derivation")
    assert step["how"]["parameters"] == {
        "ids": {"type": "list", "length": 1}, "where": {"length": 35}, "columns": ["id", "y"],
        "share": 0.5, "but": {"length": 8}, "by": "sex", "how": "outer", "unit": "weeks",
        "last": "LARGE",
    }  # fmt: skip
    for file in (tmp_path / "run").rglob("*"):
        assert not file.is_file() or b"Lovelace" not in file.read_bytes()


def test_what_a_preparation_closes_over_cannot_be_guessed(tmp_path: Path) -> None:
    def without(person: str) -> Any:
        return lambda frame: frame[frame["name"] != person]

    frame = pd.DataFrame({"name": ["Ada", "Bo"], "y": [0, 1]})
    with Audit(run=tmp_path / "run") as audit:
        audit.preparation(without("Ada"), name="without")(frame)
    (step,) = bodies(tmp_path / "run", "derivation")
    assert step["how"]["code"]["captured"] == {"closure person": "a str"}


def test_what_cannot_be_a_step_is_one_clear_error() -> None:
    with Audit() as audit:
        audit.derive(RAW.head(5), RAW, "head")
        with pytest.raises(InputError, match="again"):
            audit.derive(RAW.head(5), RAW.tail(9), "another way")
        with pytest.raises(InputError, match="how="):
            audit.derive(RAW.head(4), RAW, {"nme": "x"})
        with pytest.raises(InputError, match="says not how"):
            audit.derive(RAW.head(4), RAW, 3)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="without a name"):
            audit.derive(RAW.head(4), " ", "x")
        with pytest.raises(InputError, match="makes something"):
            audit.derive([], RAW, "nothing")


def test_sources_are_declared_and_judged(tmp_path: Path) -> None:
    with Audit(run=tmp_path / "run") as audit:
        audit.data(train=RAW, **ROLES, sources=[{"name": "census", "licence": "CC-BY-4.0",
                                                 "rows": 30}])  # fmt: skip
        assert audit.finding("known_licence_rate[rows]").value == 1
        assert audit.finding("known_origin_rate[rows]").value == 0
    (body,) = bodies(tmp_path / "run", "sources")
    assert body["sources"][0]["name"] == "census"
    with Audit() as audit, pytest.raises(InputError, match="did you mean 'licence'"):
        audit.data(train=RAW, **ROLES, sources=[{"name": "census", "license": "MIT"}])
