"""A base model and a tuned one on the same records, without any library for it."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Generator

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from auditor import Audit, InputError
from auditor.stats.paired import PAIRED

DATA = {"target": "y", "sensitive": ["sex"]}


def world(rows: int = 200) -> tuple[pd.DataFrame, DataLoader, torch.nn.Module, torch.nn.Module]:
    rng = np.random.default_rng(1)
    x = torch.tensor(rng.normal(size=(rows, 3)), dtype=torch.float32)
    y = (x[:, 0] > 0).long()
    frame = pd.DataFrame({"sex": rng.choice(["F", "M"], rows), "y": y.numpy()})
    torch.manual_seed(0)
    base = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Dropout(0.5))
    tuned = copy.deepcopy(base)
    with torch.no_grad():
        tuned[0].weight[1, 0] += 0.5
    return frame, DataLoader(TensorDataset(x, y), batch_size=32), base, tuned


def changes(audit: Audit) -> dict[tuple[str, str], float]:
    return {
        (f.metric, str(f.slice.get("sex"))): f.value
        for f in audit.findings
        if f.check == "bias.base-against-tuned" and f.status == "measured" and f.reference is None
    }


def test_counts_are_those_of_numpy_and_nothing_is_changed() -> None:
    frame, loader, base, tuned = world()
    before = {k: v.clone() for k, v in tuned.state_dict().items()}
    state = torch.get_rng_state()
    with Audit() as audit:
        audit.data(test=frame, **DATA)
        found = audit.compare(base, tuned, loader)
        x, y = loader.dataset.tensors
        with torch.no_grad():
            wrong = [(m.eval()(x).argmax(1) != y).numpy() for m in (base, tuned)]
        for sex in ("F", "M"):
            mine = (frame.sex == sex).to_numpy()
            change = audit.finding("error_rate_change", stage="fine-tuning", sex=sex)
            assert change.value == pytest.approx(wrong[1][mine].mean() - wrong[0][mine].mean())
            assert change.n == mine.sum()
            rate = audit.finding("error_rate", stage="fine-tuning", sex=sex)
            assert rate.value == pytest.approx(wrong[1][mine].mean())
    assert {finding.stage for finding in found} == {"fine-tuning"}
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[k], v) for k, v in tuned.state_dict().items())


def test_a_module_its_weights_and_a_switch_give_the_same() -> None:
    frame, loader, base, tuned = world()
    weights = copy.deepcopy(base.state_dict())

    @contextlib.contextmanager
    def switched() -> Generator[None]:
        kept = copy.deepcopy(tuned.state_dict())
        tuned.load_state_dict(weights)
        yield
        tuned.load_state_dict(kept)

    found = []
    for one in (base, weights, {"0.weight": weights["0.weight"]}, switched):
        with Audit() as audit:
            audit.data(test=frame, **DATA)
            audit.compare(one, tuned, loader)
            found.append(changes(audit))
    assert found[0] == found[1] == found[2] == found[3]
    assert found[0]["error_rate_change", "F"] < 0


def test_a_rule_on_the_change_closes_the_gate(tmp_path) -> None:
    frame, loader, base, tuned = world()
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "schema: auditor/policy/v1\nid: tuned\nversion: 1.0.0\ntitle: t\nas_of: 2026-11-01\n"
        "rules:\n  - {id: no-harm, title: No group loses, metric: error_rate_change, over: [sex],\n"
        "     stage: fine-tuning, accept: '<= 0.02', on_fail: block}\n"
    )
    statuses = []
    for first, second in ((base, tuned), (tuned, base)):
        with Audit(policy, tmp_path / f"run{len(statuses)}") as audit:
            audit.data(test=frame, **DATA)
            audit.compare(first, second, loader)
            statuses.append(str(audit.gate().status))
    assert statuses == ["pass", "fail"]


def test_what_is_no_base_is_refused() -> None:
    frame, loader, _, tuned = world()
    with Audit() as audit:
        audit.data(test=frame, **DATA)
        with pytest.raises(InputError, match="very tensors of the tuned model"):
            audit.compare(tuned.state_dict(), tuned, loader)
        with pytest.raises(InputError, match="'other' are not those"):
            audit.compare({"other": torch.zeros(1)}, tuned, loader)
        with pytest.raises(InputError, match="the base is a int"):
            audit.compare(3, tuned, loader)
        with pytest.raises(InputError, match="no validation data"):
            audit.compare(tuned, tuned, loader, split="validation")
        assert PAIRED not in str(audit.findings)
