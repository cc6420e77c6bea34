"""Documents that can be shown in part: a salted Merkle root over their rows.

A digest binds a document as a whole: whoever withholds one row of it can prove nothing about the
others. Beside its digest a run therefore commits to the *rows* of every document of findings,
rules and counts: leaf 0 is the document without its rows, leaf *i* the *i*-th row, and each leaf
is preceded by a salt of its own, ``HMAC-SHA256(seed, name || 0x00 || i)`` cut to 16 bytes. The root
(RFC 6962) stands in the ledger. A redacted copy shows some rows with their salts, and of the
others the hash alone; it has the same root, and without the salt nobody can find a withheld count
by trying all of them.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from auditor.errors import RunError
from auditor.evidence import canonical_parsed
from auditor.ledger.chain import Ledger
from auditor.ledger.encoding import is_digest
from auditor.ledger.layout import EVIDENCE, FINDINGS, OPENINGS, VERDICT
from auditor.ledger.tree import fold_hashes, leaf_hash

__all__ = [
    "MOST_ROWS",
    "REDACTED_SCHEMA",
    "Shown",
    "commit_document",
    "committed_rows",
    "parts_of",
    "read_redacted",
    "redacted_document",
]

REDACTED_SCHEMA = "auditor/redacted/v1"
MOST_ROWS = 20_000
"""A document with more rows is not committed to by rows: it is withheld, or shown, as a whole."""

_SALT = 16


def parts_of(name: str, document: Any) -> tuple[dict[str, Any], list[Any]] | None:
    """Split a document into what surrounds its rows, and the rows; ``None`` where it has none.

    The rows are the findings, the rows of counts by slice, and of a verdict two for each rule: its
    id and status alone, and the whole rule.
    """
    key = {FINDINGS: "findings", VERDICT: "rules"}.get(name, "rows")
    if not isinstance(document, dict) or (key == "rows" and not name.startswith(f"{EVIDENCE}/")):
        return None
    around = dict(cast("Mapping[str, Any]", document))
    rows = around.pop(key, None)
    if not isinstance(rows, list):
        return None
    listed = cast("list[Any]", rows)
    if name == VERDICT:
        listed = [
            part
            for rule in listed
            for part in ({"id": rule.get("id"), "status": rule.get("status")}, rule)
        ]
    return around, listed


def commit_document(name: str, document: Any, seed: bytes) -> dict[str, Any] | None:
    """Return what the ledger keeps of a document: the number of its rows, and the root.

    ``None`` for a document without rows, or with more than :data:`MOST_ROWS`.
    """
    parts = parts_of(name, document)
    if parts is None or len(parts[1]) > MOST_ROWS:
        return None
    leaves = [
        leaf_hash(_salt(seed, name, i) + canonical_parsed(part))
        for i, part in enumerate([parts[0], *parts[1]])
    ]
    return {"rows": len(parts[1]), "root": f"sha256:{fold_hashes(leaves).hex()}"}


def committed_rows(ledger: Ledger) -> Mapping[str, Mapping[str, Any]]:
    """Return what a ledger committed to, by document; empty for a run that did not."""
    found = ledger.of_type(OPENINGS)
    documents = found[-1].body.get("documents") if found else None
    return documents if isinstance(documents, dict) else {}


def redacted_document(
    name: str, digest: str, document: Any, seed: bytes, shown: Callable[[int, Any], bool]
) -> dict[str, Any]:
    """Return the form of a document in which only some rows are shown.

    ``shown`` is asked with the place of a row, from 0, and the row.
    """
    parts = parts_of(name, document)
    if parts is None:
        raise RunError("this document has no rows to withhold", where=name)
    around, rows = parts
    listed: list[dict[str, Any]] = []
    for i, row in enumerate(rows, start=1):
        salt = _salt(seed, name, i)
        listed.append(
            {"salt": salt.hex(), "row": row}
            if shown(i - 1, row)
            else {"hash": leaf_hash(salt + canonical_parsed(row)).hex()}
        )
    return {
        "schema": REDACTED_SCHEMA,
        "document": name,
        "digest": digest,
        "salt": _salt(seed, name, 0).hex(),
        "around": around,
        "rows": listed,
    }


@dataclass(frozen=True, slots=True)
class Shown:
    """What a redacted document shows: all but its rows, the rows by place, and how many there are.

    ``digest`` is that of the whole document.
    """

    document: str
    digest: str
    around: Mapping[str, Any]
    rows: Mapping[int, Any]
    count: int

    @property
    def withheld(self) -> int:
        """The number of rows that are withheld."""
        return self.count - len(self.rows)


def read_redacted(redacted: Any, committed: Mapping[str, Any], *, where: str) -> Shown:
    """Read a redacted document and hold it against what the ledger committed to.

    Raises :class:`RunError` where anything shown is not what was committed to.
    """
    try:
        if set(redacted) != {"schema", "document", "digest", "salt", "around", "rows"}:
            raise ValueError("other fields than those of a redacted document")
        if redacted["schema"] != REDACTED_SCHEMA or not is_digest(redacted["digest"]):
            raise ValueError(f"not {REDACTED_SCHEMA}")
        leaves = [leaf_hash(_salt_from(redacted["salt"]) + canonical_parsed(redacted["around"]))]
        rows: dict[int, Any] = {}
        for i, item in enumerate(cast("Sequence[Mapping[str, Any]]", redacted["rows"])):
            if set(item) == {"hash"}:
                leaves.append(_hash_from(item["hash"]))
            elif set(item) == {"salt", "row"}:
                leaves.append(leaf_hash(_salt_from(item["salt"]) + canonical_parsed(item["row"])))
                rows[i] = item["row"]
            else:
                raise ValueError(f"row {i} is neither shown nor withheld")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"not a redacted document ({error})", where=where) from None
    count = len(leaves) - 1
    found = {"rows": count, "root": f"sha256:{fold_hashes(leaves).hex()}"}
    if found != dict(committed):
        raise RunError("what is shown is not what the ledger committed to", where=where)
    return Shown(str(redacted["document"]), redacted["digest"], redacted["around"], rows, count)


def _salt(seed: bytes, name: str, place: int) -> bytes:
    message = name.encode() + b"\x00" + place.to_bytes(8, "big")
    return hmac.digest(seed, message, "sha256")[:_SALT]


def _salt_from(text: Any) -> bytes:
    salt = bytes.fromhex(text)
    if len(salt) != _SALT or salt.hex() != text:
        raise ValueError("a salt that is not 16 bytes in lower-case hex")
    return salt


def _hash_from(text: Any) -> bytes:
    found = bytes.fromhex(text)
    if len(found) != 32 or found.hex() != text:
        raise ValueError("a hash that is not 32 bytes in lower-case hex")
    return found
