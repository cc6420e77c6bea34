"""``auditor data`` with a population, annotators and proxies; ``predictions`` with memberships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from .conftest import Auditor


@pytest.fixture
def train(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    sex = rng.choice(["F", "M"], 600, p=[0.3, 0.7])
    frame = pd.DataFrame(
        {
            "sex": sex, "height": rng.normal(0, 1, 600) + (sex == "M"),
            "y": rng.integers(0, 2, 600), "a1": rng.integers(0, 2, 600),
            "a2": rng.integers(0, 2, 600), "b": np.where(sex == "F", 0.8, 0.1),
            "w": np.where(sex == "F", 0.2, 0.9), "p": rng.integers(0, 2, 600),
        }
    )  # fmt: skip
    frame.loc[:19, "sex"] = None
    path = tmp_path / "train.csv"
    frame.to_csv(path, index=False)
    return path


def test_data_against_a_population_with_annotators_and_proxies(
    auditor: Auditor, train: Path, tmp_path: Path
) -> None:
    population = tmp_path / "population.csv"
    population.write_text("sex,people\nF,510\nM,490\n")
    done = auditor(
        "data", train, "--target", "y", "--sensitive", "sex", "--population", population,
        "--annotators", "a1,a2", "--proxies", "--features", "height", "--out", "run", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    measured = {f["metric"] for f in done.json["findings"] if f["status"] == "measured"}
    assert measured >= {
        "representation_ratio", "representation_distance", "label_disagreement_rate",
        "label_disagreement_rate_difference", "proxy_auc[height]", "proxy_auc[all]",
        "proxy_mutual_information[height]",
    }  # fmt: skip
    assert auditor("verify", "run").code == 3


def test_what_drifted_and_what_is_odd_is_printed(auditor: Auditor, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def rows(shift: float, letters: str) -> pd.DataFrame:
        y = rng.integers(0, 2, 600)
        return pd.DataFrame(
            {
                "sex": rng.choice(["F", "M"], 600), "height": rng.normal(shift, 1, 600),
                "still": rng.normal(0, 1, 600), "letter": rng.choice(list(letters), 600),
                "religion": rng.choice(["x", "z"], 600), "same": 1, "leak": y * 10.0, "y": y,
            }
        )  # fmt: skip

    rows(0, "ab").to_csv(tmp_path / "train.csv", index=False)
    later = rows(2, "bc").drop(columns="same")
    later.to_csv(tmp_path / "later.csv", index=False)
    done = auditor("data", tmp_path / "train.csv", "--target", "y", "--sensitive", "sex",
                   "--production", tmp_path / "later.csv")  # fmt: skip
    assert done.code == 0, done.err
    lines = [line.strip() for line in done.err.splitlines()]
    named = {line.split("  ")[0] for line in lines}
    assert named >= {
        "drift_ks[height, production]", "drift_total_variation[letter, production]",
        "absent_columns[production]", "new_levels[letter, production]",
        "personal_column_count[special]",
    }  # fmt: skip
    assert not any("[still, production]" in line for line in lines)
    assert "Constant: same" in lines
    assert "Tells the target alone: leak" in lines
    (zero,) = (line.removeprefix("Zero: ") for line in lines if line.startswith("Zero: "))
    names = zero.split(", ")
    assert len(set(names)) == len(names)
    assert "missing_rate" in names
    assert "[" not in zero


def test_of_many_drifted_columns_the_ten_largest_are_printed(
    auditor: Auditor, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    for name, step in (("train", 0.0), ("later", 0.5)):
        frame = pd.DataFrame({f"c{i:02}": rng.normal(step * (i + 1), 1, 500) for i in range(13)})
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    done = auditor("data", tmp_path / "train.csv", "--production", tmp_path / "later.csv")
    assert done.code == 0, done.err
    assert done.err.count("drift_ks[") == 10
    assert "drift_ks[c12, production]" in done.err
    assert "drift_ks[c00, production]" not in done.err
    assert "3 more stand in findings.json." in done.err


def test_a_population_that_cannot_be_used_leaves_no_run(
    auditor: Auditor, train: Path, tmp_path: Path
) -> None:
    population = tmp_path / "population.csv"
    population.write_text("sex,share\nF,0.51\nM,0.2\n")
    done = auditor("data", train, "--target", "y", "--sensitive", "sex", "--population",
                   population, "--out", "run")  # fmt: skip
    assert done.code == 2
    assert "the shares of sex add up to 0.71" in done.err
    assert not Path("run").exists()


def test_predictions_with_probabilities_and_unknown_values(auditor: Auditor, train: Path) -> None:
    done = auditor(
        "predictions", train, "--target", "y", "--prediction", "p", "--sensitive", "sex",
        "--membership", "race=White:w,Black:b", "--out", "run", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    measured = {(f["check"], f["metric"]) for f in done.json["findings"]
                if f["status"] == "measured"}  # fmt: skip
    assert measured >= {
        ("bias.soft-membership", "selection_rate_difference"),
        ("bias.soft-membership", "selection_rate_bounds"),
        ("bias.unknown-attributes", "selection_rate_ratio_worst_case"),
    }
    assert auditor("verify", "run").code == 3


def test_lines_of_plain_text_are_audited_as_texts(auditor: Auditor, tmp_path: Path) -> None:
    for name, lines in (("train", ["one two three", "four five", "six"]), ("test", ["four five"])):
        (tmp_path / f"{name}.txt").write_text("\n".join(lines) + "\n")
    done = auditor("data", "train.txt", "test.txt", "--text", "text", "--json")
    assert done.code == 0, done.err
    found = {f["metric"]: f for f in done.json["findings"]}
    assert found["duplicate_rate[train]"]["n"] == 3
    assert found["overlap_rate[test]"]["value"] == 1
    assert found["missing_rate[text, test]"]["value"] == 0
