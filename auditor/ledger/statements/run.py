"""The statements of a run: built from what the record holds, signed, ready to be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from auditor.errors import RunError
from auditor.evidence import sha256
from auditor.ledger.documents import document_name
from auditor.ledger.encoding import read_json
from auditor.ledger.keys import SigningKey
from auditor.ledger.layout import FINDINGS, STATEMENTS, VERDICT
from auditor.ledger.record import RunRecord
from auditor.ledger.statements.predicates import (
    data_manifest,
    file_resource,
    package_resources,
    test_result,
    training_run,
    verdict_summary,
)
from auditor.ledger.statements.statement import Resource, Statement, digest_set, sign_statement

__all__ = [
    "BARE",
    "SIGNED",
    "recorded_manifests",
    "recorded_packages",
    "run_statements",
    "statements_of",
]

SIGNED = ".dsse.json"
"""How the name of a signed statement ends."""

BARE = ".intoto.json"
"""How the name of a statement of an unsigned run ends."""


def run_statements(
    *,
    run: str,
    registration: str,
    seed: int,
    started: str,
    finished: str,
    tables: Mapping[str, Mapping[str, Any]],
    key: SigningKey | None,
    trained: bool,
    checkpoint: Mapping[str, Any] | None = None,
    base_model: Mapping[str, Any] | None = None,
    code: Mapping[str, Any] | None = None,
    packages: Sequence[Resource] = (),
    policy: Mapping[str, Any] | None = None,
    loop: Mapping[str, Any] | None = None,
    findings: str | None = None,
    verdict: Mapping[str, Any] | None = None,
    verdict_digest: str | None = None,
    auditor: str = "",
) -> dict[str, bytes]:
    """Return the files of ``RUN/statements/`` by their path in the run.

    A statement that nothing can be said in is not made: no tables, no data manifest; no training
    and no checkpoint, no training run; no verdict, neither test result nor summary. Manifests hold
    ``digest`` (``algorithm:hex``) and what the predicates name; ``registration``, ``findings`` and
    ``verdict_digest`` are digests of entry 0, ``findings.json`` and ``verdict.json``.
    """
    made: dict[str, Statement] = {}
    results = [
        Resource(name=name, digest=digest_set({"digest": digest}))
        for name, digest in ((FINDINGS, findings), (VERDICT, verdict_digest))
        if digest is not None
    ]
    if tables:
        made["data-manifest"] = data_manifest(run=run, registration=registration, tables=tables)
    if trained or checkpoint is not None:
        made["training-run"] = training_run(
            run=run, registration=registration, started=started, finished=finished, seed=seed,
            tables=tables, checkpoint=checkpoint, base_model=base_model, code=code,
            packages=packages, policy=policy, loop=loop, byproducts=results, auditor=auditor,
        )  # fmt: skip
    if verdict is not None:
        subject = (
            Resource(name=run, digest=digest_set({"digest": registration}))
            if checkpoint is None
            else file_resource(checkpoint)
        )
        judged = Resource(name=str(verdict["policy"]["id"]), digest=digest_set(verdict["policy"]))
        made["test-result"] = test_result(
            subject=subject, verdict=verdict, configuration=[judged, *results]
        )
        inputs = [
            Resource(name=f"{STATEMENTS}/{name}", digest=digest_set({"digest": sha256(s.encode())}))
            for name, s in made.items()
        ]
        made["verdict"] = verdict_summary(
            run=run, registration=registration, subject=subject, verdict=verdict,
            inputs=[*results, *inputs], auditor=auditor,
        )  # fmt: skip
    return {
        f"{STATEMENTS}/{name}{BARE if key is None else SIGNED}": (
            statement.encode() if key is None else sign_statement(statement, key)
        )
        for name, statement in made.items()
    }


def statements_of(record: RunRecord, key: SigningKey | None) -> dict[str, bytes]:
    """Return the statements of a run whose files are written and that is not sealed yet.

    Tables, loop, base model and checkpoint come from the ledger (the last of each name), the
    digests of the packages from the document that it names, and the rest from ``run.json``,
    ``findings.json`` and ``verdict.json``.
    """
    first = record.ledger.entries[0]
    tables, last = recorded_manifests(record)
    document = record.run
    data = _file(record.path / VERDICT)
    return run_statements(
        run=record.name,
        registration=first.digest,
        seed=int(document.get("seed", first.body.get("seed", 0))),
        started=str(document.get("started", first.time)),
        finished=str(document.get("finished", record.ledger.entries[-1].time)),
        tables=tables,
        key=key,
        trained="attach" in last,
        checkpoint=last.get("checkpoint"),
        base_model=last.get("base-model"),
        code=document.get("code"),
        packages=recorded_packages(record)[0],
        policy=first.body.get("policy"),
        loop=last.get("attach"),
        findings=_digest(record.path / FINDINGS),
        verdict=None if data is None else read_json(data),
        verdict_digest=None if data is None else sha256(data),
        auditor=str(document.get("auditor", "")),
    )


def recorded_manifests(
    record: RunRecord,
) -> tuple[dict[str, Mapping[str, Any]], dict[str, Mapping[str, Any]]]:
    """Return the tables of the ledger by split, and the last loop, checkpoint and base model."""
    tables: dict[str, Mapping[str, Any]] = {}
    last: dict[str, Mapping[str, Any]] = {}
    for entry in record.ledger.of_type("data", "attach", "checkpoint", "base-model"):
        if entry.type == "data" and isinstance(entry.body.get("tables"), dict):
            tables |= entry.body["tables"]
        elif entry.type in ("attach", "checkpoint", "base-model"):
            if entry.body.get("decision", "promoted") == "promoted":
                last[entry.type] = entry.body
            elif last.get("checkpoint", {}).get("digest") == entry.body.get("digest"):
                last.pop("checkpoint", None)  # it went through no gate after all
    return tables, last


def recorded_packages(record: RunRecord) -> tuple[tuple[Resource, ...], bool]:
    """Return the packages of a run with their digests, and whether the document of these is shown.

    A redacted copy may withhold it; a run of an earlier version has none.
    """
    given: Any = record.run.get("packages")
    versions = {
        str(name): version
        for name, version in (given if isinstance(given, dict) else {}).items()
        if isinstance(version, str)
    }
    entries = record.ledger.of_type("packages")
    if not entries:
        return package_resources(versions, None, None), True
    digest = str(entries[-1].body.get("evidence"))
    if document_name(digest) in record.withheld.missing:
        return package_resources(versions, None, digest), False
    manifest = record.statistic_document(digest)
    return package_resources(versions, manifest if isinstance(manifest, dict) else {}, digest), True


def _digest(path: Path) -> str | None:
    data = _file(path)
    return None if data is None else sha256(data)


def _file(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"the file cannot be read: {error.strerror}", where=str(path)) from None
