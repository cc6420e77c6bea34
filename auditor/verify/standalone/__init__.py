"""A verifier in one file, for whoever has neither this package nor trust in it.

The modules here use nothing of the package but each other, and beside the standard library only
``cryptography``, for signatures. :func:`standalone_source` joins them into one script. They say a
second time what the package says, after the formats and not after its code, so that the two check
each other.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

__all__ = ["standalone_source"]

_PARTS = ("formats", "signatures", "steps", "records", "withheld", "folder", "proof", "command")

_HEADER = '''#!/usr/bin/env python3
"""Verifies a run folder or a proof file of auditor, without auditor: this file and Python alone.

    python -I verify.py [RUN|PROOF.json] [--key FILE.pub] [--head sha256:...] [--json]

Without a path it verifies the folder that it lies in. Signatures need the package cryptography;
without it everything else is checked, and said so. Exit codes: 0 intact and signed by the key
given; 3 intact, but unsigned, not pinned, or signatures not checked; 1 anything off, with what and
where; 2 wrong usage. Findings and verdicts are not computed again: `auditor verify` does that.

A copy that lies in the folder which it verifies is as good as that folder: take it from a place
that you trust.
"""

from __future__ import annotations
'''


def standalone_source() -> bytes:
    """Return the script: Python 3.11 or later, one file, to be written beside what it verifies."""
    folder = Path(__file__).parent
    parts = [_body((folder / f"{name}.py").read_text(encoding="utf-8")) for name in _PARTS]
    return "\n\n".join([_HEADER, *parts]).encode()


def _body(source: str) -> str:
    """Return a module without what only a package needs, under its title as a comment."""
    title, *nodes = ast.parse(source).body
    lines = source.splitlines()
    for node in nodes:
        if _is_of_the_package(node):
            start, end = node.lineno - 1, node.end_lineno or node.lineno
            lines[start:end] = [""] * (end - start)
    rest = "\n".join(lines[title.end_lineno or 1 :])
    rest = re.sub(r"\n{4,}", "\n\n\n", rest).strip("\n")
    return f"# {ast.literal_eval(title.value)}\n\n{rest}\n" if isinstance(title, ast.Expr) else rest


def _is_of_the_package(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").partition(".")[0] in ("auditor", "__future__")
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
