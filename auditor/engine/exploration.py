"""A recorded run to look at: findings as a frame, verdict, and judgement by another policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.evidence import Verdict
from auditor.ledger import RunRecord

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Run", "load"]


class Run:
    """A finished run, opened for reading."""

    def __init__(self, record: RunRecord) -> None:
        self.record = record

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.record.name

    @property
    def findings(self) -> pd.DataFrame:
        """The findings, one row each, in the order of the file."""
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for finding in self.record.findings:
            row = finding.to_json()
            row["slice"] = str(finding.slice)
            row["reference"] = None if finding.reference is None else str(finding.reference)
            row["over"] = None if finding.over is None else "*".join(finding.over)
            rows.append(row)
        columns = ["check", "stage", "metric", "slice", "reference", "over", "status", "value",
                   "low", "high", "n", "method", "reason"]  # fmt: skip
        return pd.DataFrame(rows).reindex(columns=columns)

    @property
    def verdict(self) -> Verdict | None:
        """The recorded verdict."""
        return self.record.verdict

    def judge(self, policy: str | Path) -> Verdict:
        """Judge the recorded evidence by another policy."""
        from auditor.policy import load_policy
        from auditor.verify import judge_run

        return judge_run(self.record, load_policy(policy))

    def _repr_html_(self) -> str:
        from auditor.report import render

        return render(self.record, "html").decode()


def load(path: str | Path) -> Run:
    """Open a finished run; raises :class:`RunError` where there is none."""
    return Run(RunRecord.load(path, sealed=True))
