from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from auditor.errors import InputError
from auditor.evidence import (
    Estimate,
    Finding,
    Interval,
    Slice,
    Stage,
    canonical_json,
    findings_document,
    read_findings,
)

PLACE = {"check": "bias.group-metrics", "metric": "auc", "stage": Stage.EVALUATION}
ESTIMATE = Estimate(value=0.5, low=0.4, high=0.6, confidence=0.95, n=10, method="wilson")

bounds = st.none() | st.floats(-1e6, 1e6)
slices = st.builds(
    Slice, st.dictionaries(st.sampled_from("ab"), st.none() | st.sampled_from(["x", "é\n"]))
)
estimates = st.builds(
    Estimate,
    value=st.floats(-1e6, 1e6),
    low=bounds,
    high=bounds,
    confidence=st.just(0.95),
    n=st.integers(0, 2**53 - 1),
    method=st.just("wilson"),
    bound=bounds,
    also=st.lists(
        st.builds(Interval, low=bounds, high=bounds, confidence=st.just(0.9), method=st.just("k")),
        max_size=2,
    ),
)
findings = st.builds(
    lambda estimate, where, reference, over: Finding.measured(
        estimate, **PLACE, slice=where, reference=reference, over=over, evidence=("sha256:0",)
    ),
    estimates,
    slices,
    st.none() | st.just("rest") | slices,
    st.none() | st.just(("race",)),
)


@given(findings)
def test_a_finding_comes_back_from_its_canonical_json(finding: Finding) -> None:
    read = json.loads(canonical_json(finding.to_json()))
    assert Finding.from_json(read) == finding


def test_the_document_is_the_one_of_the_contract() -> None:
    measured = Finding.measured(
        Estimate(value=0.2139, low=0.1821, high=0.2450, confidence=0.95, n=3283, method="newcombe"),
        check="bias.group-metrics", metric="false_positive_rate_difference", stage="evaluation",
        slice={"race": "African-American"}, reference={"race": "Caucasian"},
    )  # fmt: skip
    absent = Finding.absent("no score column", **PLACE, slice=Slice({"race": "Asian"}))
    document = findings_document("credit-7", [measured, absent])
    assert document == {
        "schema": "auditor/findings/v1",
        "run": "credit-7",
        "findings": [
            {
                "check": "bias.group-metrics",
                "metric": "false_positive_rate_difference",
                "stage": "evaluation",
                "slice": {"race": "African-American"},
                "reference": {"race": "Caucasian"},
                "status": "measured",
                "value": 0.2139,
                "low": 0.1821,
                "high": 0.2450,
                "confidence": 0.95,
                "n": 3283,
                "method": "newcombe",
            },
            {
                "check": "bias.group-metrics",
                "metric": "auc",
                "stage": "evaluation",
                "slice": {"race": "Asian"},
                "status": "not-evaluated",
                "reason": "no score column",
            },
        ],
    }
    assert read_findings(document, where="findings.json") == (measured, absent)


def test_a_side_without_a_bound_stays_visible() -> None:
    estimate = ESTIMATE.model_copy(update={"high": None})
    document = Finding.measured(estimate, **PLACE).to_json()
    assert document["high"] is None


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"status": "measured"}, "has value, n, confidence and method"),
        ({"status": "not-evaluated"}, "says its reason"),
        ({"status": "error"}, "says its reason"),
        ({"status": "pass", "reason": "x"}, "status"),
        ({"status": "error", "reason": "x", "valeu": 1}, "valeu"),
        ({"status": "error", "reason": "x", "value": math.nan}, "finite"),
    ],
)
def test_an_incomplete_finding_cannot_be_made(fields: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        Finding(**PLACE, **fields)


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ([], "not a findings file"),
        ({"schema": "auditor/findings/v2", "findings": []}, "not a findings file"),
        ({"schema": "auditor/findings/v1"}, "no list of findings"),
        ({"schema": "auditor/findings/v1", "findings": {"a": 1}}, "no list of findings"),
        ({"schema": "auditor/findings/v1", "findings": [{}]}, "finding 0: 'check' is missing"),
        ({"schema": "auditor/findings/v1", "findings": ["x"]}, "finding 0"),
    ],
)
def test_a_damaged_findings_file_is_refused_with_its_place(document: Any, what: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        read_findings(document, where="findings.json")
    assert str(caught.value).startswith("findings.json")


def test_the_key_tells_findings_apart_and_the_base_metric_drops_the_parameter() -> None:
    one = Finding.measured(ESTIMATE, **PLACE)
    other = Finding.measured(ESTIMATE, **PLACE, over=("race",))
    assert one.key != other.key
    assert hash(one.key) != hash(other.key)
    named = Finding.measured(ESTIMATE, **{**PLACE, "metric": "missing_rate[a[b]]"})
    assert named.base_metric == "missing_rate"


def test_values_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ESTIMATE.value = 1.0  # type: ignore[misc]
