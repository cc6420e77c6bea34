"""A recorded run to look at: findings as a frame, verdict, and judgement by another policy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.errors import InputError, RunError
from auditor.evidence import Finding, Verdict, sha256
from auditor.ledger import VERDICT, RunRecord
from auditor.stats import SCORES, ScoreCounts, Statistic

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

    from auditor.provenance.lineage import Lineage
    from auditor.provenance.sources import Source

__all__ = ["Plots", "Run", "load"]


class Plots:
    """Charts of a run, drawn by altair: ``run.plot.rates("selection_rate", over="sex")``."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def rates(self, metric: str = "selection_rate", *, over: str | Sequence[str]) -> alt.Chart:
        """Draw a metric of every slice with its interval."""
        from auditor.report.plots import plot_rates

        return plot_rates(self._run.recorded_findings, metric, over=_family(over))

    def disparities(
        self,
        metric: str = "selection_rate_ratio",
        *,
        over: str | Sequence[str],
        accept: float | None = None,
    ) -> alt.Chart:
        """Draw a difference or a ratio of every slice against its reference."""
        from auditor.report.plots import plot_disparities

        return plot_disparities(
            self._run.recorded_findings, metric, over=_family(over), accept=accept
        )

    def scores(self, *, over: str | Sequence[str]) -> alt.Chart:
        """Draw the distribution of the scores of each group, by label."""
        from auditor.report.plots import plot_scores

        return plot_scores(self._scores(), over=self._declared(over))

    def thresholds(self, rate: str = "selection_rate", *, over: str | Sequence[str]) -> alt.Chart:
        """Draw a rate of each group along all thresholds."""
        from auditor.report.plots import plot_thresholds

        return plot_thresholds(self._scores(), over=self._declared(over), rate=rate)  # type: ignore[arg-type]

    def training(self, metric: str = "mean_loss", *, over: str) -> alt.Chart:
        """Draw a metric of the training batches of each group over the steps."""
        from auditor.report.plots import plot_training

        return plot_training(self._run.training, metric, over=over)

    def _scores(self) -> ScoreCounts:
        for statistic in self._run.statistics:
            if isinstance(statistic, ScoreCounts) and statistic.kind == SCORES:
                return statistic
        raise InputError("the run holds no scores with labels", valid="a run with score and target")

    def _declared(self, over: str | Sequence[str]) -> tuple[str, ...]:
        return self._scores().groups.family(_family(over))


def _family(over: str | Sequence[str]) -> tuple[str, ...]:
    return tuple(over.split("*")) if isinstance(over, str) else tuple(over)


class Run:
    """A run, opened for reading.

    A run that was interrupted (or is still being written) has the findings that its ledger tells
    of; nothing but the order of its entries and the digests of the evidence is bound there. It is
    to be looked at, and not judged.
    """

    def __init__(self, record: RunRecord) -> None:
        self.record = record

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.record.name

    @property
    def sealed(self) -> bool:
        """Whether the run was finished."""
        return self.record.sealed

    @property
    def interrupted(self) -> str | None:
        """Why the run was not finished, as far as it says; ``None`` where it was."""
        if self.sealed:
            return None
        entries = self.record.ledger.of_type("interrupted")
        if entries and entries[-1].seq == len(self.record.ledger.lines) - 1:
            return f"interrupted by {str(entries[-1].body.get('reason'))[:100]}"
        return "never sealed: it was cut off, or is still being written"

    def __repr__(self) -> str:
        found = f"{len(self.recorded_findings):,} findings"
        state = "sealed" if self.interrupted is None else self.interrupted
        return f"<auditor run {self.name!r}: {found}, {state}>"

    @cached_property
    def recorded_findings(self) -> tuple[Finding, ...]:
        """The findings; of an unsealed run derived from the statistics that its ledger names."""
        if self.sealed:
            return self.record.findings
        from auditor.verify.recompute import Statistics, recompute_findings

        return recompute_findings(self.record, Statistics(self.record))

    @property
    def findings(self) -> pd.DataFrame:
        """The findings, one row each, in the order of the file."""
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for finding in self.recorded_findings:
            row = finding.to_json()
            row["slice"] = str(finding.slice)
            row["reference"] = None if finding.reference is None else str(finding.reference)
            row["over"] = None if finding.over is None else "*".join(finding.over)
            rows.append(row)
        columns = ["check", "stage", "metric", "slice", "reference", "over", "status", "value",
                   "low", "high", "n", "method", "reason"]  # fmt: skip
        return pd.DataFrame(rows).reindex(columns=columns)

    @property
    def plot(self) -> Plots:
        """Charts of the findings and the statistics; they need the extra ``notebook``."""
        return Plots(self)

    @cached_property
    def statistics(self) -> tuple[Statistic, ...]:
        """The statistics that the findings name, each once, in their order."""
        from auditor.verify.recompute import Statistics

        read = Statistics(self.record)
        digests = dict.fromkeys(d for f in self.recorded_findings for d in f.evidence)
        return tuple(read(digest) for digest in digests)

    @cached_property
    def training(self) -> pd.DataFrame:
        """The course of the training: every metric of every group, in windows of steps.

        The columns are ``first_step``, ``last_step``, ``metric``, ``slice``, ``value``, ``low``,
        ``high`` and ``n``; empty where no loop was observed.
        """
        import pandas as pd

        from auditor.report.curves import training_windows

        columns = ["first_step", "last_step", "metric", "slice", "value", "low", "high", "n"]
        return pd.DataFrame(training_windows(self.record), columns=columns)

    @cached_property
    def lineage(self) -> Lineage:
        """How the data were made, as far as it was recorded; a notebook draws it."""
        from auditor.provenance.lineage import lineage_of

        return lineage_of(entry.body for entry in self.record.ledger.of_type("derivation"))[0]

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """Where the data come from, as far as it was declared."""
        from auditor.provenance.sources import sources_from_body

        entries = self.record.ledger.of_type("sources")
        return tuple(s for e in entries for s in sources_from_body(e.body, where="sources"))

    @property
    def verdict(self) -> Verdict | None:
        """The recorded verdict; of an unsealed run only one that its last gate names."""
        if not self.sealed:
            gates = self.record.ledger.of_type("gate")
            there = (self.record.path / VERDICT).exists()
            if not gates or not there:
                return None
            if gates[-1].body.get("verdict") != sha256(self.record.read(VERDICT)):
                return None
        return self.record.verdict

    def judge(self, policy: str | Path) -> Verdict:
        """Judge the recorded evidence by another policy; raises :class:`RunError` if unsealed."""
        if self.interrupted is not None:
            raise RunError(
                f"an unsealed run is not judged ({self.interrupted})", where=str(self.record.path),
                valid="a finished run",
            )  # fmt: skip
        from auditor.policy import load_policy
        from auditor.verify import judge_run

        return judge_run(self.record, load_policy(policy))

    def _repr_html_(self) -> str:
        if self.interrupted is not None:  # no findings.json, of which a report is made, holds yet
            from html import escape

            return f"<p>{escape(repr(self))}</p>{self.findings.to_html()}"
        from auditor.report import render

        return render(self.record, "html").decode()


def load(path: str | Path, *, live: bool = False) -> Run:
    """Open a run; see :attr:`Run.sealed` for whether it was finished.

    ``live`` opens one that another process is writing, too: what is there at this moment. Raises
    :class:`RunError` where there is no run, where its ledger is damaged, and where it is being
    written unless ``live`` is demanded.
    """
    return Run(RunRecord.load(path, live=live))
