"""How a check is run: measured on a subject, derived from the statistics, and derived again."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import Any

import pandas as pd
import pytest

from auditor.checks import Check, Evidence, Subject, check_from_spec
from auditor.datasets import Roles, declare_groups, open_table
from auditor.evidence import Finding, Stage, canonical_json, sha256
from auditor.stats import Statistic, read_statistic

Run = Callable[..., list[Finding]]


def stored(statistic: Statistic) -> tuple[str, bytes]:
    content = canonical_json(statistic.to_json())
    return sha256(content), content


@pytest.fixture
def run() -> Run:
    """Measure and derive; what is stored, and read back, gives the same findings.

    Every metric that the check names has a finding, but for those named as ``without``: they have
    none.
    """

    def measure_and_derive(
        check: Check, subject: Subject, *, without: Collection[str] = ()
    ) -> list[Finding]:
        statistics: Sequence[Statistic] = check.measure(subject)
        assert statistics
        evidence = [Evidence(stored(s)[0], s) for s in statistics]
        findings = check.derive(evidence, subject.stage)
        read = [
            Evidence(digest, read_statistic(json.loads(content), where=digest))
            for digest, content in map(stored, statistics)
        ]
        again = check_from_spec(json.loads(canonical_json(check.spec())))
        assert again == check
        assert again.derive(read, subject.stage) == findings
        assert len({finding.key for finding in findings}) == len(findings)
        found = {finding.base_metric for finding in findings}
        named = {metric.partition("[")[0] for metric in check.metrics}
        assert named - found == set(without)
        for finding in findings:
            assert (finding.check, finding.stage) == (check.id, subject.stage)
            if finding.status == "measured":
                assert set(finding.evidence) <= {item.digest for item in evidence}
                assert finding.evidence
        return findings

    return measure_and_derive


@pytest.fixture
def subject() -> Callable[..., Subject]:
    """Make a subject of one stage out of frames, as the engine does."""

    def make(
        stage: Stage,
        *,
        predictions: pd.DataFrame | None = None,
        intersections: int = 2,
        counted: dict[str, Statistic] | None = None,
        tables: dict[str, pd.DataFrame] | None = None,
        **roles: Any,
    ) -> Subject:
        played = Roles(**roles)
        opened = {split: open_table(frame, name=split) for split, frame in (tables or {}).items()}
        predicted = None if predictions is None else open_table(predictions)
        every = [*opened.values(), *([] if predicted is None else [predicted])]
        for table in every:
            played.check(table)
        groups = declare_groups(
            every, played.sensitive, bins=played.bins, intersections=intersections
        )
        return Subject(stage, groups, played, opened, predicted, counted or {})

    return make


@pytest.fixture
def pick() -> Callable[..., Finding]:
    """Find the one finding of a metric on a slice."""

    def one(findings: list[Finding], metric: str, /, **where: str | None) -> Finding:
        (found,) = [f for f in findings if f.metric == metric and f.slice == where]
        return found

    return one
