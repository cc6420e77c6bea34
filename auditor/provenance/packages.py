"""Every installed package with its version and a digest of what it installed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from typing import Any

from auditor.evidence import canonical_json, sha256

__all__ = ["PACKAGES_SCHEMA", "packages_manifest", "record_digest"]

PACKAGES_SCHEMA = "auditor/packages/v1"

# What an installer writes on its own account, other in every environment: compiled files, scripts
# with the path of the interpreter, and who installed it when and why.
_OWN = re.compile(
    r"__pycache__/|\.pyc,|\.\./|\.dist-info/(?:RECORD|INSTALLER|REQUESTED|direct_url\.json|"
    r"uv_cache\.json|uv_build\.json)"
)


def packages_manifest() -> dict[str, Any]:
    """Return name, version and digest of every distribution that this interpreter finds.

    The digest is over the names, digests and sizes of the package's files as its installer recorded
    them (``RECORD``, PyPA "Recording installed projects"), sorted, without what differs between
    environments: equal digests are equal wheels. That the files were not changed afterwards is
    not checked. An editable install has no digest and says so; the files of its code are bound by
    the code's commit. A package without such a record (of the system, of conda) has ``null``.
    """
    found: dict[str, dict[str, Any]] = {}
    for distribution in distributions():
        metadata: Any = distribution.metadata  # parsed anew at each access
        name, version = metadata.get("Name"), metadata.get("Version")
        if not name:
            continue  # remains of an uninstalled package
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key not in found:  # the first on the path is the one that is imported
            editable = _editable(distribution)
            digest = None if editable else record_digest(_record(distribution))
            found[key] = {
                "name": key, "version": version, "digest": digest, "editable": editable,
            }  # fmt: skip
    packages = [found[key] for key in sorted(found)]
    return {
        "schema": PACKAGES_SCHEMA,
        "method": "sha256-of-sorted-record",
        "packages": packages,
        "digest": sha256(canonical_json(packages)),
    }


def record_digest(lines: Iterable[str]) -> str | None:
    """Return the digest of the lines of a RECORD, in any order; ``None`` where there are none.

    >>> record_digest(["b,sha256=y,1", "a,sha256=x,1"]) == record_digest(
    ...     ["a,sha256=x,1", "b,sha256=y,1", "__pycache__/a.pyc,,"])
    True
    """
    kept = sorted(line for line in lines if line and not _OWN.search(line))
    return sha256("\n".join(kept).encode()) if kept else None


def _record(distribution: Distribution) -> list[str]:
    return (distribution.read_text("RECORD") or "").splitlines()


def _editable(distribution: Distribution) -> bool:
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    except (ValueError, RecursionError):
        return False
    place = origin.get("dir_info") if isinstance(origin, dict) else None
    return isinstance(place, dict) and place.get("editable") is True
