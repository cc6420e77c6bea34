"""The four statements about a run, from plain values.

=================  =============================================================================
data manifest      the tables by digest, with rows and splits (a type of our own, versioned)
training run       SLSA provenance v1: data sets, base model, code and packages as dependencies
test result        in-toto test-result v0.1: the rules that passed, warned and failed
verdict summary    after SLSA's verification summary: the policy, the verdict, what it rests on
=================  =============================================================================

A statement says what its signer recorded. It makes nothing true that was not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote

from auditor.ledger.encoding import is_digest
from auditor.ledger.statements.statement import Resource, Statement, digest_set

__all__ = [
    "BUILDER",
    "BUILD_TYPE",
    "DATA_MANIFEST",
    "TEST_RESULT",
    "TRAINED_ON",
    "TRAINING_RUN",
    "VERDICT_SUMMARY",
    "data_manifest",
    "file_resource",
    "outcome_of",
    "package_resources",
    "table_resource",
    "test_result",
    "training_run",
    "verdict_summary",
]

TRAINED_ON = ("train", "validation")
"""The splits that a training depends on."""


DATA_MANIFEST = "https://auditor/data-manifest/v1"
TRAINING_RUN = "https://slsa.dev/provenance/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
VERDICT_SUMMARY = "https://auditor/verdict-summary/v1"
BUILD_TYPE = "https://auditor/training-run/v1"
BUILDER = "https://auditor/builder/own-loop/v1"
"""The builder: a loop that its owner runs, and that is as trustworthy as the signer."""

_MOST_FILES = 1_000
_METHOD = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_OUTCOMES = {"pass": "PASSED", "fail": "FAILED", "error": "FAILED"}


def table_resource(split: str, manifest: Mapping[str, Any]) -> Resource:
    """Return a table as a resource: the split, its digests, and how many rows it has."""
    notes = {k: manifest[k] for k in ("name", "rows") if manifest.get(k) is not None}
    return Resource(name=split, digest=digest_set(manifest), annotations=notes)


def file_resource(manifest: Mapping[str, Any], *, name: str | None = None) -> Resource:
    """Return a file with a manifest (``file`` or ``name``, ``digest``) as a resource."""
    notes = {k: manifest[k] for k in ("format", "bytes", "licence") if manifest.get(k) is not None}
    given = manifest.get("file") or manifest.get("name")
    return Resource(
        name=name or (str(given) if given else None),
        digest=digest_set(manifest),
        annotations=notes | ({"file": str(given)} if name and given else {}),
    )


def package_resources(
    versions: Mapping[str, str], manifest: Mapping[str, Any] | None, digest: str | None
) -> tuple[Resource, ...]:
    """Return the packages that matter with their digests, and the manifest of all of them.

    ``manifest`` is that of :func:`auditor.provenance.packages_manifest`, and ``digest`` that of its
    document. A package's digest is over the record of its installed files, which the name of its
    algorithm says: it is not that of the wheel. One that is installed from a folder to be edited
    has none; it is annotated.
    """
    known, method = manifest or {}, (manifest or {}).get("method")
    found: list[Resource] = []
    listed = {str(one.get("name")): one for one in _mappings(known.get("packages"))}
    named = {"method": method} if isinstance(method, str) and _METHOD.fullmatch(method) else {}
    for name, version in sorted(versions.items()):
        package = listed.get(re.sub(r"[-_.]+", "-", name).lower(), {})
        value = package.get("digest") if package.get("version") == version else None
        bound = isinstance(value, str) and is_digest(value)
        found.append(
            Resource(
                uri=f"pkg:pypi/{quote(name.lower())}@{quote(version)}",
                digest=digest_set({"digest": value, **named}) if bound else {},
                annotations={"editable": True} if package.get("editable") is True else {},
            )
        )
    if digest is not None:
        notes = {"packages": len(listed)} if listed else {}
        of_all = digest_set({"digest": digest})
        found.append(Resource(name="packages", digest=of_all, annotations=notes))
    return tuple(found)


def data_manifest(
    *, run: str, registration: str, tables: Mapping[str, Mapping[str, Any]]
) -> Statement:
    """Return the statement about the tables of a run, by split.

    ``registration`` is the digest of entry 0, which ties the statement to this run alone.
    """
    return Statement(
        subject=tuple(table_resource(split, tables[split]) for split in sorted(tables)),
        predicate_type=DATA_MANIFEST,
        predicate={
            "run": _run(run, registration),
            "tables": {split: _described(manifest) for split, manifest in tables.items()},
        },
    )


def training_run(
    *,
    run: str,
    registration: str,
    started: str,
    finished: str,
    seed: int,
    tables: Mapping[str, Mapping[str, Any]],
    checkpoint: Mapping[str, Any] | None = None,
    base_model: Mapping[str, Any] | None = None,
    code: Mapping[str, Any] | None = None,
    packages: Sequence[Resource] = (),
    policy: Mapping[str, Any] | None = None,
    loop: Mapping[str, Any] | None = None,
    byproducts: Sequence[Resource] = (),
    builder: str = BUILDER,
    auditor: str = "",
) -> Statement:
    """Return the SLSA provenance of a checkpoint, or of the run where none was given.

    ``loop`` is what the ledger says of the attached loop; ``code`` holds ``commit`` and, where
    something was not committed, the digest of ``changes``; ``packages`` are those of
    :func:`package_resources`.
    """
    dependencies = [
        table_resource(split, tables[split]) for split in sorted(tables) if split in TRAINED_ON
    ]
    if base_model is not None:
        dependencies.append(file_resource(base_model, name="base-model"))
    if code is not None and code.get("commit"):
        notes = {key: code[key] for key in ("dirty", "changes") if code.get(key)}
        commit = {"gitCommit": str(code["commit"])}
        dependencies.append(Resource(name="code", digest=commit, annotations=notes))
    dependencies += packages
    definition: dict[str, Any] = {
        "buildType": BUILD_TYPE,
        "externalParameters": {
            "run": run,
            "seed": seed,
            "policy": dict(policy) if policy else None,
        },
        "resolvedDependencies": [item.to_json() for item in dependencies],
    }
    if loop:
        definition["internalParameters"] = dict(loop)
    return Statement(
        subject=(
            _registered(run, registration) if checkpoint is None else file_resource(checkpoint),
        ),
        predicate_type=TRAINING_RUN,
        predicate={
            "buildDefinition": definition,
            "runDetails": {
                "builder": {"id": builder, "version": {"auditor": auditor} if auditor else {}},
                "metadata": {
                    "invocationId": registration,
                    "startedOn": started,
                    "finishedOn": finished,
                },
                "byproducts": [item.to_json() for item in byproducts],
            },
        },
    )


def test_result(
    *, subject: Resource, verdict: Mapping[str, Any], configuration: Sequence[Resource]
) -> Statement:
    """Return the test result of a verdict; what was not decided warns, and never passes."""
    outcomes: dict[str, list[str]] = {"PASSED": [], "WARNED": [], "FAILED": []}
    for rule in verdict["rules"]:
        outcomes[outcome_of(str(rule["status"]))].append(str(rule["id"]))
    return Statement(
        subject=(subject,),
        predicate_type=TEST_RESULT,
        predicate={
            "result": outcome_of(str(verdict["status"])),
            "configuration": [item.to_json() for item in configuration],
            "passedTests": outcomes["PASSED"],
            "warnedTests": outcomes["WARNED"],
            "failedTests": outcomes["FAILED"],
        },
    )


def verdict_summary(
    *,
    run: str,
    registration: str,
    subject: Resource,
    verdict: Mapping[str, Any],
    inputs: Sequence[Resource],
    verifier: str = BUILDER,
    auditor: str = "",
) -> Statement:
    """Return the summary of a verdict.

    ``verificationResult`` knows two words, as SLSA's does, and is PASSED for an open gate whose
    verdict is ``pass`` alone; ``status`` is the verdict's own word.
    """
    policy = verdict["policy"]
    passed = verdict["status"] == "pass" and verdict.get("gate", "open") == "open"
    counts = Counter(str(rule["status"]) for rule in verdict["rules"])
    return Statement(
        subject=(subject,),
        predicate_type=VERDICT_SUMMARY,
        predicate={
            "run": _run(run, registration),
            "verifier": {"id": verifier, "version": {"auditor": auditor} if auditor else {}},
            "timeVerified": verdict["evaluated_at"],
            "policy": {
                "name": f"{policy['id']}@{policy['version']}",
                "digest": digest_set(policy),
                "registered": bool(verdict.get("registered", False)),
            },
            "inputAttestations": [item.to_json() for item in inputs],
            "verificationResult": "PASSED" if passed else "FAILED",
            "status": verdict["status"],
            "gate": verdict.get("gate"),
            "stage": verdict.get("stage"),
            "rules": dict(sorted(counts.items())),
        },
    )


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    """Return the mappings in a list that may hold anything."""
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("Mapping[str, Any]", item) for item in items if isinstance(item, dict)]


def _described(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a table's own digest does not say; many files are counted, not listed."""
    names = ("rows", "columns", "method", "file_method", "files", "licence")
    found = {name: manifest[name] for name in names if manifest.get(name) is not None}
    files = found.get("files")
    if isinstance(files, list) and len(cast("list[Any]", files)) > _MOST_FILES:
        found["files"] = {"count": len(cast("list[Any]", files))}
    return found


def outcome_of(status: str) -> str:
    """Return the word of a test result for the status of a rule or a verdict."""
    return _OUTCOMES.get(status, "WARNED")


def _run(run: str, registration: str) -> dict[str, Any]:
    return _registered(run, registration).to_json()


def _registered(run: str, registration: str) -> Resource:
    return Resource(name=run, digest=digest_set({"digest": registration}))
