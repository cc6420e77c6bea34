"""An audit in one command: begun, finished and sealed, or nothing left behind."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.cli.show import (
    print_json,
    show_data,
    show_findings,
    show_remarks,
    show_run,
    show_verdict,
)
from auditor.errors import InputError, RunError

if TYPE_CHECKING:
    from auditor.engine import Audit

__all__ = ["finish", "one_shot"]


@contextmanager
def one_shot(
    *,
    out: Path | None,
    policy: str | None,
    key: Path | None,
    seed: int,
    fields: Mapping[str, Mapping[str, Any]] | None = None,
    system: Mapping[str, Any] | None = None,
) -> Generator[Audit]:
    """Open an audit over ``out``; input that turns out wrong takes the folder away again.

    ``fields`` are fields of checks that the command line sets, on top of the policy's.
    """
    from auditor.checks import CHECKS
    from auditor.engine import Audit
    from auditor.engine.plan import make_plan
    from auditor.policy import load_policy

    loaded = None if policy is None else load_policy(policy)
    planned = {check.id: check for check in make_plan(loaded)}
    checks = [
        CHECKS.get(identifier).build({**planned[identifier].spec()["fields"], **values})
        for identifier, values in (fields or {}).items()
    ]
    audit = Audit(policy=loaded, run=out, key=key, seed=seed, checks=checks, system=system)
    try:
        with audit:
            yield audit
    except RunError:
        raise
    except InputError:
        audit.discard()
        raise


def finish(
    audit: Audit, *, out: Path | None, json: bool, stage: str = "pre-deployment"
) -> str | None:
    """Judge, write the report, print; return the status of the verdict."""
    verdict = audit.gate(stage)
    if out is not None:
        audit.report("report.html", "report.md")
    if json:
        from auditor.evidence import findings_document

        print_json(
            {
                **findings_document(audit.run.name, audit.findings),
                "verdict": None if verdict is None else verdict.to_json(),
                "path": None if out is None else str(out),
            }
        )
    show_findings(audit.findings)
    show_data(audit.findings)
    if verdict is not None:
        show_verdict(verdict)
    show_remarks(audit.remarks())
    audit.close()
    show_run(out, signed=audit.signed, record_key=audit.record_key)
    return None if verdict is None else str(verdict.status)
