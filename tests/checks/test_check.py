from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from auditor.checks import CHECKS, Check, Evidence, Subject, check_from_spec, register
from auditor.errors import AuditorError, InputError
from auditor.evidence import Finding, Stage
from auditor.metrics import METRICS
from auditor.stats import Statistic

IDS = (
    "bias.adverse-impact", "bias.base-against-tuned", "bias.base-rates", "bias.class-metrics",
    "bias.conditional-parity", "bias.evaluation-loss", "bias.group-metrics",
    "bias.label-disagreement", "bias.proxies", "bias.ranking", "bias.regression",
    "bias.representation", "bias.soft-membership", "bias.subgroups", "bias.training-dynamics",
    "bias.training-loss", "bias.unknown-attributes", "explainability.attributions",
    "provenance.balance", "provenance.clean-score", "provenance.compute",
    "provenance.drift",
    "provenance.dropped-rows", "provenance.duplicates",
    "provenance.feature-quality", "provenance.label-noise", "provenance.missing-values",
    "provenance.outliers", "provenance.overlap", "provenance.personal-data", "provenance.sources",
)  # fmt: skip


class Silent(Check):
    """A check of a plug-in that measures nothing."""

    id: ClassVar[str] = "tests.silent"
    title: ClassVar[str] = "Silent"
    stages: ClassVar[tuple[Stage, ...]] = (Stage.DATA,)
    metrics: ClassVar[tuple[str, ...]] = ("count",)

    def measure(self, subject: Subject) -> Sequence[Statistic]:
        return []

    def derive(self, evidence: Sequence[Evidence], stage: Stage) -> list[Finding]:
        return []


def test_the_built_in_checks_have_the_ids_that_policies_name() -> None:
    assert tuple(CHECKS) == IDS


@pytest.mark.parametrize("identifier", IDS)
def test_a_check_says_what_it_is(identifier: str) -> None:
    check = CHECKS.get(identifier)
    assert check.id == identifier
    assert check.title
    assert check.__doc__
    assert check.stages
    assert all(metric in METRICS for metric in check.metrics)


@pytest.mark.parametrize("identifier", IDS)
def test_a_check_comes_back_from_its_spec(identifier: str) -> None:
    for fields in ({}, {"confidence": 0.9}):
        check = CHECKS.get(identifier).build(fields)
        assert check.spec() == {"id": identifier, "fields": fields}
        assert check_from_spec(check.spec()) == check


def test_fields_that_are_structures_come_back_from_the_spec() -> None:
    fields = {
        "sensitive": ["sex"], "intersections": 1, "reference": {"race": "A"}, "confidence": 0.99,
    }  # fmt: skip
    check = CHECKS.get("bias.group-metrics").build(fields)
    assert check.spec()["fields"] == fields
    assert check_from_spec(check.spec()) == check


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"confidenc": 0.9}, "has no field 'confidenc'; did you mean 'confidence'"),
        (
            {"confidence": 95},
            "check bias.group-metrics: confidence: expected less than 1, found 95",
        ),
        ({"confidence": 0}, "confidence: expected more than 0, found 0"),
        ({"intersections": 0}, "intersections"),
        ({"reference": "smallest"}, "reference"),
        ({"sensitive": "sex"}, "sensitive"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        CHECKS.get("bias.group-metrics").build(fields, where="policy.yaml:9:3")
    assert str(caught.value).startswith("policy.yaml:9:3")


def test_an_unknown_check_of_a_spec_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"did you mean 'bias\.group-metrics'"):
        check_from_spec({"id": "bias.group-metric"}, where="ledger entry 3")


def test_a_check_has_both_halves() -> None:
    class Half(Check):
        """Half a check."""

        id: ClassVar[str] = "tests.half"

        def measure(self, subject: Subject) -> Sequence[Statistic]:
            return []

    with pytest.raises(TypeError, match="derive"):
        Half()  # type: ignore[abstract]


def test_an_id_is_registered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CHECKS, "_items", dict(CHECKS._items))
    assert register(Silent) is Silent
    assert check_from_spec(Silent().spec()) == Silent()
    with pytest.raises(AuditorError, match=r"check 'tests\.silent' is registered twice"):
        register(Silent)
