from __future__ import annotations

import itertools
import json
from datetime import date

import pytest

from auditor.errors import InputError
from auditor.evidence import (
    PolicyReference,
    RuleVerdict,
    Slice,
    SliceBound,
    Stage,
    Status,
    Verdict,
    WaiverRecord,
    canonical_json,
    read_verdict,
    worst,
)

VERDICT = Verdict(
    status=Status.FAIL,
    gate="closed",
    stage=Stage.PRE_DEPLOYMENT,
    evaluated_at="2026-11-15T12:00:00Z",
    seed=0,
    policy=PolicyReference(id="p", version="1.0.0", digest="sha256:0"),
    registered=True,
    rules=(
        RuleVerdict(
            id="parity",
            status=Status.FAIL,
            reason="too far apart",
            on_fail="block",
            closes_gate=True,
            findings=(0, 3),
            bounds=(
                SliceBound(
                    slice=Slice({"race": None}),
                    reference=Slice({"race": "A"}),
                    metric="selection_rate_ratio",
                    value=0.5,
                    low=None,
                    high=0.7,
                    decision=Status.FAIL,
                ),
            ),
            waiver=WaiverRecord(
                rule="parity",
                slice=Slice({"race": None}),
                owner="o",
                reason="r",
                expires=date(2027, 3, 31),
                expired=False,
            ),
        ),
    ),
)


def test_a_verdict_comes_back_from_its_canonical_json() -> None:
    read = read_verdict(json.loads(canonical_json(VERDICT.to_json())), where="verdict.json")
    assert read == VERDICT
    assert read.rules[0].bounds[0].slice == {"race": None}
    assert read.rules[0].waiver is not None
    assert read.rules[0].waiver.slice == {"race": None}


@pytest.mark.parametrize("document", [None, {"schema": "auditor/verdict/v9"}, {"schema": 1}])
def test_another_file_is_refused(document: object) -> None:
    with pytest.raises(InputError, match=r"verdict\.json: not a verdict file"):
        read_verdict(document, where="verdict.json")


def test_a_misspelt_key_is_refused() -> None:
    with pytest.raises(InputError, match="seeed"):
        read_verdict({**VERDICT.to_json(), "seeed": 1}, where="verdict.json")


def test_the_worst_of_several_is_the_first_in_the_order_of_the_contract() -> None:
    order = ["error", "fail", "inconclusive", "not-evaluated", "pass", "waived"]
    for better, other in itertools.combinations(map(Status, order), 2):
        assert worst([other, better]) is worst([better, other]) is better


def test_no_rule_is_not_a_pass() -> None:
    assert worst([]) is Status.NOT_EVALUATED
