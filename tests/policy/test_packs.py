from __future__ import annotations

import re
import time
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from auditor.checks import CHECKS
from auditor.datasets.adult import load_adult
from auditor.evidence import Stage, Status
from auditor.policy import CheckUse, bundled_policies, load_policy, plan
from auditor.resources import resource_folder
from auditor.stats import Attribute, Groups, confusion_counts

PACKS = ["baseline", "compute-thresholds", "demo-credit", "four-fifths-screen"]


def test_the_packs_load_and_say_what_they_are() -> None:
    loaded = list(bundled_policies())
    assert [policy.policy.id for policy in loaded] == PACKS
    for policy in loaded:
        assert policy.policy.title
        assert policy.policy.as_of is not None
        assert all(rule.title and rule.cites for rule in policy.policy.rules)


@pytest.mark.parametrize("name", PACKS)
def test_a_pack_claims_no_compliance_and_explains_itself(name: str) -> None:
    text = (resource_folder("policies") / f"{name}.yaml").read_text(encoding="utf-8")
    assert not re.search("complian", text, re.IGNORECASE)
    assert text.startswith("# ")


def test_the_screen_says_that_it_is_one() -> None:
    policy = load_policy("four-fifths-screen").policy
    assert policy.title is not None
    assert "not a legal conclusion" in policy.title
    assert {cite for rule in policy.rules for cite in rule.cites} == {"us-ugesp:1607.4.D"}


@pytest.mark.parametrize("name", PACKS)
def test_a_plan_measures_every_rule_of_a_pack(name: str) -> None:
    policy = load_policy(name).policy
    checks = plan(policy)
    assert len({check.id for check in checks}) == len(checks)
    for rule in policy.rules:
        assert any(rule.stage in check.stages for check in checks)


def test_a_plan_takes_the_fields_of_the_policy_and_adds_what_its_rules_need() -> None:
    checks = {check.id: check for check in plan(load_policy("demo-credit").policy)}
    assert checks["bias.group-metrics"].model_dump()["sensitive"] == ("sex", "race")
    assert "provenance.overlap" in checks
    assert "explainability.attributions" in checks
    assert "bias.training-loss" not in checks


def test_a_named_check_that_does_not_run_at_the_stage_does_not_suffice(
    runs: SimpleNamespace,
) -> None:
    policy = load_policy("four-fifths-screen").policy
    # The base rates yield counts of the data, not of an evaluation.
    named = policy.model_copy(update={"checks": (CheckUse(id="bias.base-rates"),)})
    assert {"bias.base-rates", "bias.group-metrics"} < {check.id for check in plan(named)}


def test_a_check_that_failed_to_load_is_left_out_of_the_plan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(CHECKS.broken, "acme.check", "ImportError: no module")
    policy = load_policy("four-fifths-screen").policy
    named = policy.model_copy(update={"checks": (CheckUse(id="acme.check"),)})
    planned = {check.id for check in plan(named)}
    assert "bias.group-metrics" in planned
    assert "acme.check" not in planned


def test_on_adult_even_the_true_labels_fail_selection_parity(runs: SimpleNamespace) -> None:
    frame = load_adult(with_id=False)
    groups = Groups.declare(
        [Attribute(name=name, levels=tuple(frame[name].cat.categories)) for name in ("sex", "race")]
    )
    codes = groups.encode({name: frame[name].tolist() for name in ("sex", "race")})
    labels = cast("np.ndarray", (frame["income"] == ">50K").to_numpy())
    counts = confusion_counts(groups, codes, labels, labels)
    run = runs.nothing().add("bias.group-metrics", counts, "evaluation")
    verdict = run.judge(load_policy("demo-credit"))
    by_id = {rule.id: rule for rule in verdict.rules}
    assert by_id["selection-parity"].status is Status.FAIL
    assert "sex=Female against sex=Male is 0.3635" in by_id["selection-parity"].reason
    assert by_id["selection-parity-race"].status is Status.FAIL
    assert by_id["accurate-enough"].status is Status.PASS
    assert by_id["training-on-course"].status is Status.NOT_EVALUATED
    assert verdict.gate == "closed"
    screen = {r.id: r.status for r in run.judge(load_policy("four-fifths-screen")).rules}
    assert set(screen.values()) == {Status.FAIL}


def test_all_pairs_of_50_slices_are_judged_in_no_time(runs: SimpleNamespace) -> None:
    rng = np.random.default_rng(0)
    run = runs.selected({f"g{i}": (int(rng.integers(280, 320)), 1000) for i in range(50)})
    policy = load_policy("four-fifths-screen")
    start = time.perf_counter()
    verdict = run.judge(policy, stage=str(Stage.EVALUATION))
    elapsed = time.perf_counter() - start
    assert len(verdict.rules) == 2
    assert elapsed < 2  # 0.15 s on an idle core
