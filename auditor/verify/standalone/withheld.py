"""A redacted copy: which files and rows are withheld, and whether what is shown is true."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from auditor.verify.standalone.formats import (
    Bad,
    canonical,
    digest_text,
    fold,
    leaf_hash,
    read_json,
    sha,
    shaped,
    unhex,
)
from auditor.verify.standalone.signatures import Report

__all__ = ["read_withheld"]

NOTE: dict[str, type] = {
    "schema": str, "run": str, "head": str, "min_cell": int, "withheld": list, "redacted": dict,
}  # fmt: skip
PARTLY: dict[str, type] = {
    "schema": str, "document": str, "digest": str, "salt": str, "around": dict, "rows": list,
}  # fmt: skip
NEVER = {"ledger.jsonl", "head", "key.pub", "policy.yaml"}


def read_withheld(
    report: Report, run: Path, entries: list[dict[str, Any]], bound: dict[str, Any],
    present: set[str],
) -> tuple[set[str], set[str]]:  # fmt: skip
    """Return the files that may be missing, and those that are there beside what is bound."""
    if "redaction.json" not in present:
        return set(), set()
    try:
        note = read_json((run / "redaction.json").read_bytes())
        if not shaped(note, NOTE) or note["schema"] != "auditor/redaction/v1":
            raise Bad("not the note of a redaction")
        whole = cast("list[str]", note["withheld"])
        partly = cast("dict[str, Any]", note["redacted"])
        names = {*whole, *partly}
        if not names or len(names) != len(whole) + len(partly):
            raise Bad("a file is named twice, or none is")
        if names & (NEVER | present) or names - set(bound):
            raise Bad("it names a file that cannot be withheld, or that is there")
        if note["head"] != digest_text(sha((run / "head").read_bytes())):
            raise Bad("the copy was made of another head")
    except (Bad, TypeError) as error:
        report.fault("redaction.json", str(error))
        return set(), {"redaction.json"}
    openings = [entry["body"].get("documents") for entry in entries if entry["type"] == "openings"]
    committed = openings[-1] if openings and isinstance(openings[-1], dict) else {}
    for name, rows in partly.items():
        where = f"redacted/{name}"
        try:
            shown: Any = read_json((run / where).read_bytes()) if where in present else {}
            right = shaped(shown, PARTLY) and shown["schema"] == "auditor/redacted/v1"
            right = right and (shown["document"], shown["digest"]) == (name, bound[name])
            report.demand(
                right and rows == hidden_rows(shown)
                and committed.get(name) == {"root": root_of(shown), "rows": len(shown["rows"])},
                where, "what is shown is not what the ledger committed to",
            )  # fmt: skip
        except (Bad, AttributeError, KeyError, TypeError) as error:
            report.fault(where, f"cannot be read ({error})")
    hidden = sum(rows for rows in partly.values() if type(rows) is int)
    report.says.append(f"a redacted copy: {len(whole)} files and {hidden} rows are withheld")
    return names, {"redaction.json", *(f"redacted/{name}" for name in partly)}


def hidden_rows(shown: dict[str, Any]) -> int:
    """Return how many rows are withheld; raises :class:`Bad` for a row that is neither."""
    if any(set(row) not in ({"hash"}, {"salt", "row"}) for row in shown["rows"]):
        raise Bad("a row is neither shown nor withheld")
    return sum("hash" in row for row in shown["rows"])


def root_of(shown: dict[str, Any]) -> str:
    """Return the root over the salted parts: what is around the rows, and the rows."""
    leaves = [leaf_hash(salt(shown["salt"]) + canonical(shown["around"]).encode())]
    for row in shown["rows"]:
        leaves.append(
            unhex(row["hash"]) if "hash" in row
            else leaf_hash(salt(row["salt"]) + canonical(row["row"]).encode())
        )  # fmt: skip
    return digest_text(fold(leaves))


def salt(text: str) -> bytes:
    """Read the 16 bytes of a salt."""
    found = bytes.fromhex(text) if len(text) == 32 and text == text.lower() else b""
    if found.hex() != text:
        raise Bad("a salt that is not 16 bytes in lower-case hex")
    return found
