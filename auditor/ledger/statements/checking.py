"""Do the statements of a run say what the run recorded, and did its signer sign them?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from auditor.errors import InputError
from auditor.evidence import sha256
from auditor.ledger.integrity import Fault
from auditor.ledger.layout import FINDINGS, POLICY, STATEMENTS, VERDICT
from auditor.ledger.record import RunRecord
from auditor.ledger.statements.predicates import (
    DATA_MANIFEST,
    TEST_RESULT,
    TRAINED_ON,
    TRAINING_RUN,
    VERDICT_SUMMARY,
    outcome_of,
)
from auditor.ledger.statements.run import (
    BARE,
    SIGNED,
    recorded_manifests,
    recorded_packages,
)
from auditor.ledger.statements.statement import (
    Statement,
    digest_set,
    read_statement,
    verify_statement,
)
from auditor.ledger.verifying import VerifyingKey

__all__ = ["check_statements"]

_TYPES = {
    "data-manifest": DATA_MANIFEST,
    "training-run": TRAINING_RUN,
    "test-result": TEST_RESULT,
    "verdict": VERDICT_SUMMARY,
}


def check_statements(run: str | Path, record: RunRecord) -> tuple[Fault, ...]:
    """List what is off with ``RUN/statements/``; a run without statements has no fault.

    Every statement must be signed by the signer that entry 0 names (and bare where it names none),
    be of the type that its name says, and cite no digest that the run does not hold: of entry 0,
    of a file in the folder, or in an entry or document of the record. Files with other endings are
    not looked at; like every file, they are bound by the seal.
    """
    folder = Path(run) / STATEMENTS
    try:
        names = sorted(p.name for p in folder.iterdir() if p.name.endswith((SIGNED, BARE)))
    except OSError:
        return ()
    return tuple(_faults(folder, names, record))


def _faults(folder: Path, names: list[str], record: RunRecord) -> Iterator[Fault]:
    signer = _signer(record)
    read: dict[str, Statement] = {}
    for name in names:
        where = f"{STATEMENTS}/{name}"
        try:
            read[name] = _read(folder / name, signer, where=where)
        except InputError as error:
            yield Fault(where=where, what=error.what)
    known = _recorded_digests(record) | {
        sha256(statement.encode()).partition(":")[2] for statement in read.values()
    }
    recorded, shown = recorded_packages(record)
    packages = {item.uri or item.name: item.digest for item in recorded}
    for name, statement in read.items():
        where = f"{STATEMENTS}/{name}"
        expected = _TYPES.get(name.removesuffix(SIGNED).removesuffix(BARE))
        if statement.predicate_type != expected:
            yield Fault(where=where, what="the name does not belong to this type of statement")
        cited = _packages_of(statement)
        # What is withheld decides nothing; statements of earlier versions name no manifest.
        held = [of for of in cited if shown or of == "packages"]
        lost = (
            shown
            and "packages" in cited
            and any(packages[of] for of in packages.keys() - cited.keys())
        )
        if lost or any(cited[of] != packages.get(of) for of in held):
            yield Fault(where=where, what="the packages are not those of the record")
        beside = {str(value) for digest in cited.values() for value in digest.values()}
        for place, value in sorted(_cited(statement.to_json())):
            if value not in known and value not in beside:
                yield Fault(where=where, what=f"{place} cites a digest that the run does not hold")
        for what in _disagreements(statement, record):
            yield Fault(where=where, what=what)


def _packages_of(statement: Statement) -> dict[str, dict[str, Any]]:
    """Return the digests that the provenance of a training states of packages."""
    if statement.predicate_type != TRAINING_RUN:
        return {}
    given = _at(statement.predicate, "buildDefinition", "resolvedDependencies")
    found: dict[str, dict[str, Any]] = {}
    for item in cast("list[Any]", given) if isinstance(given, list) else []:
        of, digest = _at(item, "uri") or _at(item, "name"), _at(item, "digest")
        if (str(of).startswith("pkg:") or of == "packages") and isinstance(digest, dict):
            found[str(of)] = cast("dict[str, Any]", digest)
    return found


def _read(file: Path, signer: VerifyingKey | None, *, where: str) -> Statement:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=where) from None
    if signer is None:
        if file.name.endswith(SIGNED):
            raise InputError("a signed statement, and entry 0 names no signer", where=where)
        return read_statement(data, where=where)
    if file.name.endswith(BARE):
        raise InputError("the signature was stripped: entry 0 names a signer", where=where)
    return verify_statement(data, signer, where=where)


def _signer(record: RunRecord) -> VerifyingKey | None:
    line = record.ledger.entries[0].body.get("signer")
    return None if line is None else VerifyingKey.parse(str(line))


def _recorded_digests(record: RunRecord) -> set[str]:
    """Return the hex of every digest that the run holds or mentions."""
    found = {record.ledger.entries[0].digest.partition(":")[2]}
    for name in (FINDINGS, VERDICT, POLICY):
        file = record.path / name
        if file.is_file():
            found.add(sha256(file.read_bytes()).partition(":")[2])
    found |= {digest.partition(":")[2] for digest in record.files.values()}
    for entry in record.ledger.entries:
        found |= _digests_in(entry.body)
    return found | _digests_in(record.run)


def _digests_in(document: Any) -> set[str]:
    found: set[str] = set()
    waiting = [document]
    while waiting:
        value: Any = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            found.add(value.rpartition(":")[2])
    return found


def _cited(document: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield every digest of a digest set anywhere in the document, with its place."""
    waiting: list[tuple[str, Any]] = [(place, document)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, list):
            waiting += ((f"{place}[{at}]", item) for at, item in enumerate(value))
        elif isinstance(value, dict):
            for key, item in value.items():
                inner = f"{place}.{key}".removeprefix(".")
                if key == "digest" and isinstance(item, dict):
                    yield from ((f"{inner}.{name}", str(text)) for name, text in item.items())
                elif key == "digest":
                    yield inner, str(item).rpartition(":")[2]
                else:
                    waiting.append((inner, item))


def _disagreements(statement: Statement, record: RunRecord) -> Iterator[str]:
    """Yield where the words of a statement are not those of the record."""
    kind, predicate = statement.predicate_type, statement.predicate
    yield from _other_subjects(statement, record)
    if kind == TRAINING_RUN:
        invocation = _at(predicate, "runDetails", "metadata", "invocationId")
        seed = _at(predicate, "buildDefinition", "externalParameters", "seed")
        if invocation != record.ledger.entries[0].digest:
            yield "it belongs to another run"
        if seed != record.run.get("seed", record.ledger.entries[0].body.get("seed", seed)):
            yield "the seed is not that of the run"
    if kind in (DATA_MANIFEST, VERDICT_SUMMARY):
        digest = record.ledger.entries[0].digest.partition(":")[2]
        if _at(predicate, "run", "digest") != {"sha256": digest}:
            yield "it belongs to another run"
    if kind not in (VERDICT_SUMMARY, TEST_RESULT):
        return
    if VERDICT in record.withheld.files:
        return
    document = _verdict(record)
    if document is None:
        yield "there is no verdict"
        return
    expected = _summary_of(document) if kind == VERDICT_SUMMARY else _results_of(document)
    for name, value in expected.items():
        if predicate.get(name) != value:
            yield f"{name} is not that of {VERDICT}"


def _verdict(record: RunRecord) -> dict[str, Any] | None:
    """Return the verdict; of one that is shown in part, the ids and statuses of its rules."""
    shown = record.withheld.documents.get(VERDICT)
    if shown is not None:
        rules = [row for place, row in sorted(shown.rows.items()) if place % 2 == 0]
        return {**shown.around, "rules": rules}
    return None if record.verdict is None else record.verdict.to_json()


def _other_subjects(statement: Statement, record: RunRecord) -> Iterator[str]:
    """Hold tables, base model and checkpoint against the ledger: each by its own name."""
    tables, last = recorded_manifests(record)
    expected = {split: digest_set(manifest) for split, manifest in tables.items()}
    subjects = {item.name: item.digest for item in statement.subject}
    if statement.predicate_type == DATA_MANIFEST:
        if subjects != expected:
            yield "the tables are not those of the ledger"
        return
    checkpoint = last.get("checkpoint", {"digest": record.ledger.entries[0].digest})
    if list(subjects.values()) != [digest_set(checkpoint)]:
        yield "the subject is not what the ledger recorded"
    if statement.predicate_type == TRAINING_RUN:
        expected = {split: expected[split] for split in TRAINED_ON if split in expected}
        if "base-model" in last:
            expected["base-model"] = digest_set(last["base-model"])
        given = _at(statement.predicate, "buildDefinition", "resolvedDependencies")
        found = {_at(item, "name"): _at(item, "digest") for item in _items(given)}
        if any(found.get(name) != digest for name, digest in expected.items()):
            yield "the dependencies are not those of the ledger"


def _items(value: Any) -> list[Any]:
    """Return the items of a list whose names can be looked up."""
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [item for item in items if isinstance(_at(item, "name"), str)]


def _summary_of(verdict: dict[str, Any]) -> dict[str, Any]:
    passed = (verdict["status"], verdict["gate"]) == ("pass", "open")
    return {
        "status": verdict["status"],
        "gate": verdict["gate"],
        "stage": verdict["stage"],
        "timeVerified": verdict["evaluated_at"],
        "verificationResult": "PASSED" if passed else "FAILED",
    }


def _results_of(verdict: dict[str, Any]) -> dict[str, Any]:
    def of(word: str) -> list[str]:
        return [rule["id"] for rule in verdict["rules"] if outcome_of(rule["status"]) == word]

    return {
        "result": outcome_of(verdict["status"]),
        "passedTests": of("PASSED"),
        "warnedTests": of("WARNED"),
        "failedTests": of("FAILED"),
    }


def _at(document: Any, *path: str) -> Any:
    """Return what lies at a path of keys, or ``None``: an unsigned statement can hold anything."""
    for key in path:
        if not isinstance(document, dict):
            return None
        document = cast("dict[str, Any]", document).get(key)
    return document
