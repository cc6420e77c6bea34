"""The command of the verifier in one file."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from auditor.verify.standalone.folder import check_run
from auditor.verify.standalone.formats import Bad, digest_text, is_digest
from auditor.verify.standalone.proof import check_proof
from auditor.verify.standalone.signatures import Report, read_key

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Check a run or a proof; return the exit code."""
    parser = argparse.ArgumentParser(description="Verify a run folder or a proof file.")
    parser.add_argument("path", nargs="?", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--key", type=Path, help="the public key (FILE.pub) that you trust")
    parser.add_argument("--head", help="the digest of the tree head that you know")
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")
    given = parser.parse_args(arguments)
    try:
        key = given.key and read_key(given.key.read_text().removesuffix("\n"))
        if given.head is not None and not is_digest(given.head):
            raise Bad(f"{given.head!r} is not a digest")
        report = Report(key, given.head)
        if given.path.is_dir():
            check_run(report, given.path)
        else:
            data = given.path.read_bytes()
            if data[:1] != b"{":
                raise Bad("neither a run folder nor a proof")
            check_proof(report, data)
    except (OSError, ValueError, Bad) as error:
        print(f"verify: {given.path}: {error}", file=sys.stderr)
        return 2
    report.finish()
    if given.json:
        print(json.dumps(document(report)))
    for line in sentences(report):
        print(line.encode("ascii", "backslashreplace").decode(), file=sys.stderr)
    return report.exit_code


def document(report: Report) -> dict[str, object]:
    """Return the machine-readable form."""
    return {
        "exit_code": report.exit_code,
        "head": digest_text(report.root),
        "signed": report.signed,
        "pinned": report.pinned,
        "signatures_checked": not report.unchecked,
        "says": report.says,
        "faults": report.faults,
    }


def sentences(report: Report) -> Iterator[str]:
    """Give what people read."""
    for fault in report.faults:
        yield f"WRONG  {fault['where']}: {fault['what']}"
    if not report.faults:
        yield from (f"right  {line}" for line in ("intact", *report.says))
        if report.unchecked:
            yield "open   signatures were not checked: install the package cryptography"
        elif not report.signed or report.signer is None:
            yield "open   unsigned: anybody could have written this"
        elif not report.pinned:
            yield f"open   signed by {report.signer[0]}, which you did not pin: give --key FILE.pub"
        else:
            yield f"right  signed by {report.signer[0]}"
    yield f"head   {digest_text(report.root)}"


if __name__ == "__main__":
    sys.exit(main())
