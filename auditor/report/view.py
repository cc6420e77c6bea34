"""The view model: everything that a report shows, gathered from one record and from nothing else.

``make_view`` reads the ledger and the files that it binds. It takes no clock and no setting, so
that the same run folder gives the same report, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from auditor.errors import RunError
from auditor.evidence import Finding, Verdict
from auditor.ledger import RunRecord
from auditor.ledger.layout import FINDINGS
from auditor.report.absent import Absence, make_absences, silent_stages
from auditor.report.blocks import Block, make_blocks
from auditor.report.curves import CurveTable, make_curves
from auditor.report.fields import Fields
from auditor.report.origins import Origins, make_origins
from auditor.report.policy_text import PolicyText, WaiverText, read_policy_text
from auditor.report.populations import Group, Population
from auditor.report.proof import (
    EvidenceItem,
    LedgerLine,
    Proof,
    ledger_lines,
    make_evidence,
    make_proof,
    time_text,
)
from auditor.report.remarks import make_remarks
from auditor.report.rules import Clause, RuleView, make_clauses, make_rules
from auditor.report.subject import (
    Fact,
    TableFacts,
    checkpoint_facts,
    environment_facts,
    judged_facts,
    model_facts,
    packages,
    people_facts,
    table_facts,
)
from auditor.report.text import shown, stage_text
from auditor.report.words import gate_sentence, headline, status_counts
from auditor.report.worst import Worst, largest_difference, worst_slice

__all__ = ["PolicyView", "ReportView", "Summary", "make_view", "read_policy", "recorded_findings"]

_MOST_EVIDENCE = 400
_LEDGER_ENDS = 60


@dataclass(frozen=True, slots=True)
class PolicyView:
    """The policy that judged."""

    id: str
    version: str
    digest: str
    title: str | None
    as_of: str | None
    registered: bool
    evaluated_at: str
    stage: str
    text: PolicyText


@dataclass(frozen=True, slots=True)
class Summary:
    """What a board needs to know, on one screen.

    ``status`` is that of the verdict, ``none`` where no policy judged, or ``interrupted``.
    """

    status: str
    headline: str
    gate: str | None
    gate_sentence: str
    counts: tuple[tuple[str, str, int], ...]
    worst: Worst | None
    records: int | None
    measured: int
    unmeasured: int
    groups: int


@dataclass(frozen=True, slots=True)
class ReportView:
    """Everything that a report shows, in the order in which it is shown."""

    run: str
    title: str
    purpose: str | None
    summary: Summary
    started: str | None
    finished: str | None
    policy: PolicyView | None
    people: tuple[Fact, ...]
    judged: tuple[Fact, ...]
    model: tuple[Fact, ...]
    checkpoints: tuple[tuple[Fact, ...], ...]
    tables: tuple[TableFacts, ...]
    rules: tuple[RuleView, ...]
    clauses: tuple[Clause, ...]
    blocks: tuple[Block, ...]
    curves: CurveTable
    absences: tuple[Absence, ...]
    silent: tuple[str, ...]
    environment: tuple[Fact, ...]
    packages: tuple[tuple[str, str], ...]
    proof: Proof
    evidence: Mapping[str, EvidenceItem]
    evidence_hidden: int
    ledger: tuple[LedgerLine, ...]
    ledger_hidden: int
    findings: tuple[Finding, ...]
    verdict: Verdict | None
    origins: Origins
    remarks: tuple[str, ...] = ()
    record: RunRecord | None = field(default=None, repr=False, compare=False)

    def topic(self, *names: str) -> tuple[Block, ...]:
        """Return the blocks whose checks belong to these namespaces."""
        return tuple(block for block in self.blocks if block.topic in names)

    @property
    def other_topics(self) -> tuple[Block, ...]:
        """Return the blocks of bias, and of namespaces that plug-ins bring."""
        return tuple(b for b in self.blocks if b.topic not in ("explainability", "provenance"))

    @property
    def populations(self) -> tuple[tuple[Block, Population], ...]:
        """Every population with the block that it belongs to."""
        return tuple((block, p) for block in self.blocks for p in block.populations)

    @property
    def missing_groups(self) -> tuple[tuple[str, str, Group], ...]:
        """The unknown and the empty groups: where they were counted, the attribute, the group."""
        return tuple(
            (f"{block.stage_title}, {block.title}{_of_which(population)}", attribute, group)
            for block, population in self.populations
            for attribute, group in (*population.unknown, *population.empty)
        )

    @property
    def waivers(self) -> tuple[RuleView, ...]:
        """The rules that a waiver touched."""
        return tuple(rule for rule in self.rules if rule.waiver)

    @property
    def idle_waivers(self) -> tuple[WaiverText, ...]:
        """The waivers of the policy that touched no rule of this verdict."""
        touched = {rule.id for rule in self.waivers}
        written = self.policy.text.waivers if self.policy else ()
        return tuple(waiver for waiver in written if waiver.rule not in touched)


def _of_which(population: Population) -> str:
    """Name the table where a block counts several."""
    _, _, table = population.title.partition(" (")
    return f" ({table}" if table else ""


def make_view(record: RunRecord) -> ReportView:
    """Gather the view of a run.

    Raises :class:`~auditor.errors.RunError` where a file of the run cannot be read or is not the
    one that the ledger binds.
    """
    run = Fields(record.run)
    registration = Fields(record.ledger.entries[0].body)
    findings = recorded_findings(record)
    verdict = record.verdict
    policy_text = read_policy(record)
    proof = make_proof(record, run)
    rules = () if verdict is None else make_rules(verdict, policy_text, findings)
    blocks = make_blocks(findings, policy_text.regions())
    people = people_facts(run)
    curves, model = make_curves(record), model_facts(record)
    evidence = make_evidence(record, findings)
    named = {digest for finding in findings for digest in finding.evidence}
    named |= {digest for curve in curves.curves for digest in curve.evidence}
    kept = dict(islice(((d, item) for d, item in evidence.items() if d in named), _MOST_EVIDENCE))
    lines = ledger_lines(record)
    ends = lines if len(lines) <= 2 * _LEDGER_ENDS else lines[:_LEDGER_ENDS] + lines[-_LEDGER_ENDS:]
    return ReportView(
        run=shown(record.name),
        title=people[0].value or shown(record.name),
        purpose=run.text("system", "purpose"),
        summary=_summary(verdict, policy_text, findings, blocks, proof),
        started=_time(run, "started") or proof.registered_at,
        finished=_time(run, "finished"),
        policy=_policy(verdict, policy_text, registration),
        people=people,
        judged=judged_facts(run, registration, attached=bool(model)),
        model=model,
        checkpoints=checkpoint_facts(record),
        tables=table_facts(record),
        rules=rules,
        clauses=make_clauses(rules),
        blocks=blocks,
        curves=curves,
        absences=make_absences(findings),
        silent=silent_stages(findings, record.ledger.entries),
        environment=environment_facts(run, registration),
        packages=packages(run),
        proof=proof,
        evidence=kept,
        evidence_hidden=len(evidence) - len(kept),
        ledger=ends,
        ledger_hidden=len(lines) - len(ends),
        findings=findings,
        verdict=verdict,
        origins=make_origins(record),
        remarks=make_remarks(record, findings, verdict, policy_text),
        record=record,
    )


def recorded_findings(record: RunRecord) -> tuple[Finding, ...]:
    """Return the findings; none where an interrupted run never wrote them."""
    if not record.sealed and not (record.path / FINDINGS).exists():
        return ()
    return record.findings


def _summary(
    verdict: Verdict | None,
    policy: PolicyText,
    findings: tuple[Finding, ...],
    blocks: tuple[Block, ...],
    proof: Proof,
) -> Summary:
    measured = sum(finding.status == "measured" for finding in findings)
    totals = [p.total for block in blocks for p in block.populations if p.total is not None]
    slices = {f.slice for f in findings if f.slice and f.slice.known and f.status == "measured"}
    if verdict is not None:
        status, sentence = str(verdict.status), headline(verdict)
        gate, gate_words = verdict.gate, gate_sentence(verdict)
        worst = worst_slice(verdict, policy, findings)
    else:
        gate, worst = None, largest_difference(findings)
        status = "interrupted" if proof.interruption else "none"
        sentence = (
            "The run was interrupted before a verdict."
            if proof.interruption
            else "Measured, and not judged: no policy was registered."
        )
        gate_words = "There is no gate."
    return Summary(
        status=status,
        headline=sentence,
        gate=gate,
        gate_sentence=gate_words,
        counts=() if verdict is None else status_counts(verdict.rules),
        worst=worst,
        records=totals[0] if totals else None,  # of the latest stage
        measured=measured,
        unmeasured=len(findings) - measured,
        groups=len(slices),
    )


def _policy(verdict: Verdict | None, text: PolicyText, registration: Fields) -> PolicyView | None:
    if verdict is not None:
        reference = verdict.policy
        return PolicyView(
            shown(reference.id), shown(reference.version), shown(reference.digest), text.title,
            text.as_of, verdict.registered, time_text(verdict.evaluated_at),
            stage_text(verdict.stage), text,
        )  # fmt: skip
    named = registration.at("policy")
    if not named:
        return None
    return PolicyView(
        named.text("id") or "?", named.text("version") or "?", named.text("digest") or "?",
        text.title, text.as_of, True, "never", "", text,
    )  # fmt: skip


def read_policy(record: RunRecord) -> PolicyText:
    """Read what the registered policy says; nothing of a run that was cut off before it."""
    try:
        return read_policy_text(record.policy_text)
    except RunError:
        if record.sealed:
            raise
        return read_policy_text(None)  # interrupted before it was written


def _time(run: Fields, name: str) -> str | None:
    moment = run.text(name)
    return None if moment is None else time_text(moment)
