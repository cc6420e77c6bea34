"""Runs in miniature: counts by group, the findings that the checks derive of them, and policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from auditor.checks import CHECKS, Evidence
from auditor.evidence import Finding, Stage, Verdict, canonical_json, sha256
from auditor.metrics.attributions import ATTRIBUTIONS
from auditor.metrics.proportions import MISSING, OVERLAP
from auditor.policy import LoadedPolicy, evaluate, parse_policy
from auditor.stats import CELLS, CONFUSION, Attribute, Groups, SliceTable, Statistic

HEAD = "schema: auditor/policy/v1\nid: test\nversion: 1.0.0\ntitle: A policy for a test\n"

Cells = tuple[int, int, int, int]
"""tn, fp, fn, tp"""


@dataclass
class Run:
    """Statistics by digest and the findings derived of them."""

    findings: list[Finding] = field(default_factory=list)
    statistics: dict[str, Statistic] = field(default_factory=dict)

    def add(self, check: str, statistic: Statistic, stage: Stage, **fields: Any) -> Run:
        digest = sha256(canonical_json(statistic.to_json()))
        self.statistics[digest] = statistic
        self.findings += CHECKS.get(check)(**fields).derive([Evidence(digest, statistic)], stage)
        return self

    def judge(
        self, policy: LoadedPolicy, *, stage: Stage = Stage.PRE_DEPLOYMENT, **options: Any
    ) -> Verdict:
        options = {"evaluated_at": "2026-11-15T12:00:00Z", "seed": 0, "registered": True} | options
        return evaluate(policy, self.findings, self.statistics.__getitem__, stage=stage, **options)


def confusion(
    attributes: Mapping[str, Sequence[str]], cells: Mapping[tuple[str | None, ...], Cells]
) -> SliceTable:
    """Count cells by the values of all attributes; ``None`` is a missing value."""
    groups = Groups.declare(
        [Attribute(name=name, levels=tuple(levels)) for name, levels in attributes.items()]
    )
    table = SliceTable.zero(CONFUSION, groups, CELLS)
    for values, (tn, fp, fn, tp) in cells.items():
        codes = groups.encode({n: [v] for n, v in zip(attributes, values, strict=True)})
        for flat in groups.flat(codes)[0]:
            table.values[flat, [CELLS.index(c) for c in ("tn", "fp", "fn", "tp")]] += (
                tn, fp, fn, tp,
            )  # fmt: skip
    return table


def selected(rates: Mapping[str | None, tuple[int, int]]) -> SliceTable:
    """Return counts of one attribute ``group`` from (selected, records) of each value."""
    levels = [level for level in rates if level is not None]
    return confusion(
        {"group": levels}, {(g,): (n - x, 0, 0, x) for g, (x, n) in rates.items()}
    )  # fmt: skip


def by_group(rates: Mapping[str | None, tuple[int, int]]) -> Run:
    return Run().add("bias.group-metrics", selected(rates), Stage.EVALUATION)


def overlap(share: tuple[int, int], *, split: str = "test") -> SliceTable:
    groups = Groups.declare([])
    table = SliceTable.zero(OVERLAP, groups, ("records", split), context={"split": split})
    table.values[0] = (share[1], share[0])
    return table


def missing(columns: Mapping[str, int], records: int) -> SliceTable:
    groups = Groups.declare([])
    table = SliceTable.zero(MISSING, groups, ("records", *columns), context={"split": "train"})
    table.values[0] = (records, *columns.values())
    return table


def attributions(residuals: Sequence[float]) -> SliceTable:
    groups = Groups.declare([])
    names = ("residual", "error")
    columns = ["records"] + [f"{kind}:{name}" for name in names for kind in ("sum", "squares")]
    table = SliceTable.zero(ATTRIBUTIONS, groups, columns, sums=True)
    values = np.asarray(residuals)
    table.values[0] = [len(values), *([values.sum(), (values**2).sum()] * 2)]
    return table


@pytest.fixture
def policy() -> Callable[..., LoadedPolicy]:
    """Make a policy of one rule on selection rates, with what a test changes about it."""

    def make(*, rest: str = "", **changes: Any) -> LoadedPolicy:
        rule = {
            "id": "parity", "title": "Parity", "metric": "selection_rate_ratio",
            "stage": "evaluation", "accept": '">= 0.8"',
        }  # fmt: skip
        rule |= changes
        lines = [f"{name}: {value}" for name, value in rule.items() if value is not None]
        text = HEAD + rest + "rules:\n  - " + "\n    ".join(lines) + "\n"
        return parse_policy(text.encode(), "test.yaml")

    return make
