"""Runs to report on: small ones written through the ledger, with the checks' own findings."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from auditor.checks import CHECKS, Evidence
from auditor.evidence import (
    Finding,
    PolicyReference,
    RuleVerdict,
    Stage,
    Status,
    Verdict,
    canonical_json,
    findings_document,
    sha256,
)
from auditor.ledger import LedgerWriter, RunFolder, RunRecord, SigningKey
from auditor.metrics.attributions import ATTRIBUTIONS, columns_of
from auditor.policy import evaluate, parse_policy
from auditor.stats import CELLS, CONFUSION, Attribute, Groups, SliceTable, Statistic
from auditor.stats import score_counts as count_scores

POLICY = """\
schema: auditor/policy/v1
id: consumer-credit
version: 1.2.0
title: Consumer credit scoring
as_of: 2026-11-01
defaults: {min_denominator: 30}
rules:
  - id: selection-parity
    title: Favourable outcomes reach all groups at similar rates
    metric: selection_rate_ratio
    over: [sex, race]
    stage: evaluation
    accept: ">= 0.8"
    cites: ["eu-ai-act:10.2.f", "us-ugesp:1607.4.D"]
  - id: accurate-enough
    title: At least half of the decisions are right
    metric: accuracy
    stage: evaluation
    accept: ">= 0.5"
    cites: ["eu-ai-act:15.1"]
  - id: no-overlap
    title: The test data were not trained on
    metric: overlap_rate
    stage: data
    accept: "<= 0"
    on_fail: warn
  - id: finds-the-qualified
    title: Nine in ten who qualify are recognised
    metric: true_positive_rate
    stage: evaluation
    accept: ">= 0.9"
waivers:
  - {rule: finds-the-qualified, owner: "A. Owner", reason: "a pilot", expires: 2027-03-31}
"""

# tn, fp, fn, tp of (sex, race): a large gap between the sexes, a tiny group, an unknown one.
COUNTS: Mapping[tuple[str | None, str | None], Sequence[int]] = {
    ("F", "Black"): (180, 20, 60, 40),
    ("F", "White"): (700, 60, 200, 140),
    ("M", "Asian"): (3, 2, 1, 4),
    ("M", "Black"): (150, 80, 40, 110),
    ("M", "White"): (620, 260, 120, 500),
    ("M", None): (9, 4, 2, 5),
}


@dataclass
class Run:
    """A run that is being written; ``seal`` finishes it, ``load`` reads it as a reader would."""

    folder: RunFolder
    writer: LedgerWriter
    key: SigningKey | None
    policy: str | None
    findings: list[Finding] = field(default_factory=list)
    statistics: dict[str, Statistic] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.folder.path

    def measure(
        self, check: str, *found: Statistic, stage: str = "evaluation", look: int | None = None
    ) -> None:
        """Store statistics, derive their findings, and note it in the ledger."""
        made = CHECKS.get(check)()
        evidence: list[Evidence] = []
        for statistic in found:
            digest = self.folder.put_evidence(statistic.to_json())
            self.statistics[digest] = statistic
            evidence.append(Evidence(digest, statistic))
        derived = made.derive(evidence, Stage(stage))
        body: dict[str, Any] = {
            "stage": stage,
            "check": made.spec(),
            "statistics": [item.digest for item in evidence],
            "findings": len(derived),
        }
        self.writer.append("measurement", body if look is None else body | {"look": look})
        self.findings = [
            f for f in self.findings if (f.check, str(f.stage)) != (check, stage)
        ] + derived

    def fail_to_measure(self, check: str, stage: str, reason: str, *, error: bool = False) -> None:
        made = CHECKS.get(check)()
        self.findings += made.unmeasured(reason, Stage(stage), error=error)
        self.writer.append(
            "measurement",
            {"stage": stage, "check": made.spec(), "statistics": [], "findings": 1,
             "error" if error else "reason": reason},
        )  # fmt: skip

    def judge(self) -> Verdict:
        """Judge by the registered policy, and write the verdict."""
        assert self.policy is not None
        loaded = parse_policy(self.policy.encode(), "policy.yaml")
        return self.write_verdict(
            evaluate(
                loaded, self.findings, self.statistics.__getitem__, seed=7, registered=True,
                evaluated_at="2026-11-15T12:00:00Z", stage=Stage.PRE_DEPLOYMENT,
            )
        )  # fmt: skip

    def decide(self, *statuses: Status, gate: str = "open", **changes: Any) -> Verdict:
        """Write a verdict whose rules have these statuses, whatever the findings say."""
        rules = tuple(
            RuleVerdict(
                id=f"rule-{number}", title=f"Rule number {number}", status=status,
                reason=f"because {number}", on_fail="block",
                closes_gate=gate == "closed" and status in (Status.FAIL, Status.ERROR),
                cites=(f"law:{number}",), **changes,
            )
            for number, status in enumerate(statuses, start=1)
        )  # fmt: skip
        order = list(Status)
        verdict = Verdict.model_validate(
            {
                "status": min(statuses, key=order.index), "gate": gate, "stage": "evaluation",
                "evaluated_at": "2026-11-15T12:00:00Z", "seed": 7, "registered": True,
                "policy": reference_to(self.policy or ""), "rules": rules,
            }
        )  # fmt: skip
        return self.write_verdict(verdict)

    def write_verdict(self, verdict: Verdict) -> Verdict:
        data = canonical_json(verdict.to_json())
        self.folder.write("verdict.json", data)
        self.writer.append("gate", {"status": str(verdict.status), "verdict": sha256(data)})
        return verdict

    def write_findings(self) -> None:
        document = findings_document(self.folder.name, self.findings)
        self.folder.write("findings.json", canonical_json(document))

    def finish(self, document: Mapping[str, Any] | None = None) -> RunRecord:
        """Write what is left, seal, and read the run."""
        self.write_findings()
        self.folder.write(
            "run.json", canonical_json(dict(RUN_JSON if document is None else document))
        )
        self.folder.seal(self.writer, self.key)
        return self.load()

    def load(self) -> RunRecord:
        return RunRecord.load(self.path)


RUN_JSON: Mapping[str, Any] = {
    "schema": "auditor/run/v1",
    "run": "credit-7",
    "started": "2026-11-15T11:00:00Z",
    "finished": "2026-11-15T12:00:05Z",
    "seed": 7,
    "auditor": "0.1.0",
    "python": "3.11.7",
    "platform": "Linux-6.1",
    "packages": {"numpy": "2.4.0", "torch": "2.13.0"},
    "code": {"commit": "0123456789abcdef", "dirty": True, "changes": "sha256:ab"},
    "machine": {"cpu": "x86_64", "cores": 8, "memory_bytes": 34359738368, "accelerators": []},
    "governor": {"budget": 0.01, "cost": 0.0042, "fraction": 0.5, "batches": 100,
                 "observed_batches": 50},
    "system": {"name": "Credit scoring", "provider": "A Bank", "purpose": "Decides on loans"},
    "key_note": None,
    "audit": {"target": "y", "prediction": "p", "score": "s", "threshold": 0.5, "positive": "1",
              "sensitive": ["sex", "race"], "bins": {"age": [25, 45]}, "intersections": 2},
}  # fmt: skip


def reference_to(policy: str) -> PolicyReference:
    return PolicyReference(
        id="consumer-credit", version="1.2.0", digest=sha256(policy.encode())
    )  # fmt: skip


StartRun = Callable[..., Run]


@pytest.fixture
def start_run(tmp_path: Path) -> Iterator[StartRun]:
    """Start a run: a folder, a ledger with entry 0, a clock of its own, and nothing measured."""
    started: list[Run] = []
    ticks = itertools.count()

    def clock() -> datetime:
        return datetime(2026, 11, 15, 11, tzinfo=UTC) + timedelta(seconds=next(ticks))

    def start(
        name: str = "credit-7", *, policy: str | None = POLICY, key: SigningKey | None = None
    ) -> Run:
        folder = RunFolder.create(tmp_path / name)
        writer = folder.writer(clock=clock)
        run = Run(folder, writer, key, policy)
        started.append(run)
        folder.register(
            writer,
            signer=None if key is None else key.verifying_key,
            policy=None if policy is None else reference_to(policy),
            policy_text=policy,
            seed=7,
        )
        return run

    yield start
    for run in started:
        run.writer.close()


@pytest.fixture(scope="session")
def key() -> SigningKey:
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return SigningKey.from_pem(pem.decode(), name="me")


@pytest.fixture(scope="session")
def confusion() -> Callable[..., SliceTable]:
    """Make confusion counts over two attributes; the names and values may be anything."""

    def make(
        counts: Mapping[tuple[str | None, str | None], Sequence[int]] = COUNTS,
        attributes: tuple[str, str] = ("sex", "race"),
    ) -> SliceTable:
        groups = Groups.declare(
            [
                Attribute(
                    name=name,
                    levels=tuple(sorted({k[i] for k in counts if k[i] is not None})),  # type: ignore[type-var]
                )
                for i, name in enumerate(attributes)
            ]
        )
        table = SliceTable.zero(CONFUSION, groups, CELLS, context={"target": "y"})
        cells = [CELLS.index(cell) for cell in ("tn", "fp", "fn", "tp")]
        for values, numbers in counts.items():
            codes = groups.encode({n: [v] for n, v in zip(attributes, values, strict=True)})
            for flat in groups.flat(codes)[0]:
                table.values[flat, cells] += np.asarray(numbers)
        return table

    return make


@pytest.fixture(scope="session")
def scores(confusion: Callable[..., SliceTable]) -> Statistic:
    """Scores of 400 records over the same groups."""
    rng = np.random.default_rng(0)
    groups = confusion().groups
    codes = np.stack(
        [rng.integers(0, attribute.size - 1, 400) for attribute in groups.attributes], axis=1
    ).astype(np.int32)
    values = np.round(rng.random(400), 1)
    labels = (rng.random(400) < values).astype(int)
    return count_scores(groups, codes, labels, values)


@pytest.fixture(scope="session")
def attributions(confusion: Callable[..., SliceTable]) -> SliceTable:
    """Sums of attributions over three features, for every slice that holds records."""
    groups = confusion().groups
    quantities = ("feature:age", "feature:income", "feature:zip", "protected", "residual", "error")
    columns = ["records", *(name for quantity in quantities for name in columns_of(quantity))]
    table = SliceTable.zero(ATTRIBUTIONS, groups, columns, sums=True)
    occupied = confusion().values.sum(axis=1) > 0
    table.values[occupied, 0] = 50
    for number, quantity in enumerate(quantities, start=1):
        total, squares = (columns.index(name) for name in columns_of(quantity))
        table.values[occupied, total] = 50 * 0.5 / number
        table.values[occupied, squares] = 60 * (0.5 / number) ** 2
    return table


@pytest.fixture
def credit_run(
    start_run: StartRun,
    confusion: Callable[..., SliceTable],
    scores: Statistic,
    key: SigningKey,
) -> RunRecord:
    """A signed and sealed run of predictions, judged."""
    run = start_run(key=key)
    run.writer.append(
        "data",
        {
            "tables": {
                "test": {
                    "name": "test.parquet", "rows": 3_312, "columns": ["y", "p", "sex", "race"],
                    "digest": "blake3:00ff", "method": "blake3-of-rows",
                    "files": [{"name": "test.parquet", "bytes": 123_456, "digest": "blake3:11"}],
                }
            }
        },
    )  # fmt: skip
    run.measure("bias.group-metrics", confusion(), scores)
    run.fail_to_measure("explainability.attributions", "evaluation", "nothing was explained")
    run.judge()
    return run.finish()
