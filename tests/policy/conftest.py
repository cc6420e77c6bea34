"""Runs in miniature: counts by group, the findings that the checks derive of them, and policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from auditor.checks import CHECKS, Evidence
from auditor.evidence import Finding, RuleVerdict, Stage, Verdict, canonical_json, sha256
from auditor.metrics.attributions import ATTRIBUTIONS
from auditor.metrics.proportions import MISSING, OVERLAP
from auditor.policy import LoadedPolicy, evaluate, parse_policy
from auditor.stats import (
    CELLS,
    CONFUSION,
    Attribute,
    Groups,
    SliceTable,
    Statistic,
    read_statistic,
    score_counts,
)

HEAD = "schema: auditor/policy/v1\nid: test\nversion: 1.0.0\ntitle: A policy for a test\n"

Cells = tuple[int, int, int, int]
"""tn, fp, fn, tp"""


@dataclass
class Run:
    """Statistics by digest, as they are read back from a run, and the findings derived of them."""

    findings: list[Finding] = field(default_factory=list)
    statistics: dict[str, Statistic] = field(default_factory=dict)

    def add(self, check: str, statistic: Statistic, stage: str, **fields: Any) -> Run:
        document = statistic.to_json()
        digest = sha256(canonical_json(document))
        self.statistics[digest] = read_statistic(document, where=digest)
        evidence = [Evidence(digest, self.statistics[digest])]
        self.findings += CHECKS.get(check)(**fields).derive(evidence, Stage(stage))
        return self

    def judge(
        self, policy: LoadedPolicy, *, stage: str = "pre-deployment", **options: Any
    ) -> Verdict:
        options = {"evaluated_at": "2026-11-15T12:00:00Z", "seed": 0, "registered": True} | options
        return evaluate(
            policy, self.findings, self.statistics.__getitem__, stage=Stage(stage), **options
        )

    def rule(self, policy: LoadedPolicy, **options: Any) -> RuleVerdict:
        (rule,) = self.judge(policy, **options).rules
        return rule


def _confusion(
    attributes: Mapping[str, Sequence[str]], cells: Mapping[tuple[str | None, ...], Cells]
) -> SliceTable:
    """Count cells by the values of all attributes; ``None`` is a missing value."""
    groups = Groups.declare(
        [Attribute(name=name, levels=tuple(levels)) for name, levels in attributes.items()]
    )
    table = SliceTable.zero(CONFUSION, groups, CELLS)
    columns = [CELLS.index(cell) for cell in ("tn", "fp", "fn", "tp")]
    for values, counts in cells.items():
        codes = groups.encode({n: [v] for n, v in zip(attributes, values, strict=True)})
        for flat in groups.flat(codes)[0]:
            table.values[flat, columns] += counts
    return table


def _crossed(
    attributes: Mapping[str, Sequence[str]],
    cells: Mapping[tuple[str | None, ...], Cells],
    stage: str = "evaluation",
    **fields: Any,
) -> Run:
    return Run().add("bias.group-metrics", _confusion(attributes, cells), stage, **fields)


def _counts(rates: Mapping[str | None, tuple[int, int]]) -> SliceTable:
    """Return the counts of one attribute ``group`` from (selected, records) of each value."""
    levels = [level for level in rates if level is not None]
    return _confusion(
        {"group": levels}, {(group,): (n - x, 0, 0, x) for group, (x, n) in rates.items()}
    )  # fmt: skip


def _selected(
    rates: Mapping[str | None, tuple[int, int]], stage: str = "evaluation", **fields: Any
) -> Run:
    """Return a run over one attribute ``group`` from (selected, records) of each value."""
    return Run().add("bias.group-metrics", _counts(rates), stage, **fields)


def _overlap(found: int, records: int) -> Run:
    table = SliceTable.zero(OVERLAP, Groups.declare([]), ("records", "test"),
                            context={"split": "test"})  # fmt: skip
    table.values[0] = (records, found)
    return Run().add("provenance.overlap", table, "data")


def _missing(columns: Mapping[str, int], records: int) -> Run:
    table = SliceTable.zero(MISSING, Groups.declare([]), ("records", *columns),
                            context={"split": "train"})  # fmt: skip
    table.values[0] = (records, *columns.values())
    return Run().add("provenance.missing-values", table, "data")


def _residuals(values: Sequence[float]) -> Run:
    columns = ["records", "sum:residual", "squares:residual", "sum:error", "squares:error"]
    table = SliceTable.zero(ATTRIBUTIONS, Groups.declare([]), columns, sums=True)
    numbers = np.asarray(values)
    table.values[0] = [len(values), *([numbers.sum(), (numbers**2).sum()] * 2)]
    return Run().add("explainability.attributions", table, "evaluation")


def _scored(scores: Mapping[str, Sequence[tuple[float, int]]]) -> Run:
    groups = Groups.declare([Attribute(name="group", levels=tuple(scores))])
    rows = [(group, score, label) for group, pairs in scores.items() for score, label in pairs]
    codes = groups.encode({"group": [group for group, _, _ in rows]})
    table = score_counts(groups, codes, [y for _, _, y in rows], [s for _, s, _ in rows])
    return Run().add("bias.group-metrics", table, "evaluation")


@pytest.fixture(scope="session")
def runs() -> SimpleNamespace:
    """Give the makers of runs."""
    return SimpleNamespace(
        nothing=Run, counts=_counts, selected=_selected, crossed=_crossed, overlap=_overlap,
        missing=_missing, residuals=_residuals, scored=_scored,
    )  # fmt: skip


@pytest.fixture(scope="session")
def policy() -> Callable[..., LoadedPolicy]:
    """Make a policy of one rule on selection rates, with what a test changes about it."""

    def make(*, rest: str = "", **changes: Any) -> LoadedPolicy:
        rule = {
            "id": "parity", "title": "Parity", "metric": "selection_rate_ratio",
            "stage": "evaluation", "accept": '">= 0.8"',
        } | changes  # fmt: skip
        lines = [f"{name}: {value}" for name, value in rule.items() if value is not None]
        text = HEAD + rest + "rules:\n  - " + "\n    ".join(lines) + "\n"
        return parse_policy(text.encode(), "test.yaml")

    return make


@pytest.fixture(scope="session")
def head() -> str:
    return HEAD
