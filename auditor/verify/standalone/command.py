"""The command of the verifier in one file."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from auditor.verify.standalone.folder import check_run
from auditor.verify.standalone.formats import Bad, digest_text, unhex
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
        if given.head and not (given.head[:7] == "sha256:" and len(unhex(given.head[7:])) == 32):
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
        print(json.dumps({"exit_code": report.exit_code, "head": digest_text(report.root),
                          "signed": report.signed, "pinned": report.pinned,
                          "signatures_checked": not report.unchecked, "says": report.says,
                          "faults": report.faults}))  # fmt: skip
    for fault in report.faults:
        print(f"✗ {ascii(fault['where'])[1:-1]}: {fault['what']}", file=sys.stderr)
    if not report.faults:
        for line in ("intact", *report.says):
            print(f"✓ {ascii(line)[1:-1]}", file=sys.stderr)
        if report.unchecked:
            print("? signatures were not checked: pip install cryptography", file=sys.stderr)
        elif report.exit_code:
            print(
                f"? {'signed by ' + report.signer[0] + ', not pinned: give --key' if report.signed else 'unsigned'}",
                file=sys.stderr,
            )  # noqa: E501
        else:
            print(f"✓ signed by {report.signer[0]}", file=sys.stderr)
    print(f"head {digest_text(report.root)}", file=sys.stderr)
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main())
