"""A policy decides on rights by what is known, and never on what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from auditor import Audit
from auditor.verify import verify_run

FRAME = pd.DataFrame({"sex": ["F", "M"] * 50, "y": [0, 1, 1, 0] * 25, "x": range(100)})
GOOD: dict[str, Any] = {"name": "good", "licence": "MIT", "rows": 60, "tokens": 900}
BAD: dict[str, Any] = {"name": "bad", "licence": "CC-BY-NC-4.0", "rows": 40}


def policy(tmp_path: Path, metric: str, accept: str) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(
        "schema: auditor/policy/v1\nid: rights\nversion: 1.0.0\ntitle: Rights\n"
        "checks:\n  - provenance.sources: {licences: [permissive]}\n"
        f'rules:\n  - {{id: r, title: R, metric: "{metric}", stage: data, accept: "{accept}",'
        " on_fail: block}\n"
    )
    return path


def judged(tmp_path: Path, metric: str, accept: str, *sources: dict[str, Any]) -> str:
    with Audit(policy=policy(tmp_path, metric, accept), run=tmp_path / "run") as audit:
        audit.data(train=FRAME, target="y", sensitive="sex", sources=sources)
        verdict = audit.gate("data")
    assert verdict is not None
    assert verify_run(tmp_path / "run").exit_code == 3
    return str(verdict.status)


@pytest.mark.parametrize(
    ("metric", "sources", "status"),
    [
        ("compatible_licence_rate[rows]", (GOOD | {"rows": 100},), "pass"),
        ("compatible_licence_rate[rows]", (GOOD, BAD), "fail"),
        ("compatible_licence_rate[tokens]", (GOOD, BAD), "not-evaluated"),
        ("compatible_licence_rate[rows]", (GOOD, {"name": "silent", "rows": 40}), "not-evaluated"),
        ("compatible_licence_rate[rows]", (GOOD,), "not-evaluated"),  # 40 rows are of nowhere
        ("known_licence_rate[sources]", (GOOD, BAD), "pass"),  # of two sources, which is all
        ("known_licence_rate[sources]", (GOOD, {"name": "silent"}), "fail"),
    ],
)
def test_rights_are_judged_by_what_is_known(
    tmp_path: Path, metric: str, sources: tuple[dict[str, Any], ...], status: str
) -> None:
    assert judged(tmp_path, metric, ">= 1", *sources) == status


@pytest.mark.parametrize(("leak", "status"), [(True, "fail"), (False, "pass")])
def test_a_rule_reaches_what_counts_columns(tmp_path: Path, leak: bool, status: str) -> None:
    frame = FRAME.assign(z=FRAME.y if leak else FRAME.x % 3)
    with Audit(policy=policy(tmp_path, "leaking_features", "<= 0")) as audit:
        audit.data(train=frame, target="y", sensitive="sex")
        verdict = audit.gate("data")
    assert verdict is not None
    assert str(verdict.status) == status
