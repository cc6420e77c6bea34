"""The flight recorder and the inspector of model training.

``auditor`` attaches to a training loop that the user already has, measures bias, explanations and
data provenance at every stage, judges the measurements by policy files, and renders reports that
anybody can verify again without the model, the data or a GPU.

The data go one way. *Statistics* (``auditor.stats``) are counts that merge. *Metrics*
(``auditor.metrics``) turn them into estimates with intervals: of one slice, of a slice against
another, or over all groups. *Checks* (``auditor.checks``) measure statistics of a subject and
derive *findings* (``auditor.evidence``). What they measure with lies in ``auditor.datasets``
(tables scanned where they lie), ``auditor.discovery`` (subgroups that nobody named),
``auditor.explain`` and ``auditor.provenance``. A *policy* (``auditor.policy``) judges findings,
and gives a *verdict*. The *ledger* (``auditor.ledger``) binds everything in a hash-chained, signed
record; ``auditor.verify`` computes all of it again, ``auditor.report`` renders it, and
``auditor.mitigation`` compares ways out of a closed gate. The *engine* (``auditor.engine``) drives
this from Python, and ``auditor.cli`` from the command line. Imports go down these layers only, and
whoever verifies, judges or renders a run needs none of the machine-learning libraries.

Start with :class:`Audit`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auditor.errors import (
    AuditorError,
    CheckpointError,
    GateClosed,
    InputError,
    PolicyError,
    RunError,
)
from auditor.version import __version__

if TYPE_CHECKING:
    from auditor.engine import Audit
    from auditor.engine.exploration import load
    from auditor.explain import explain
    from auditor.ledger.promoted import load_checkpoint
    from auditor.verify import verify_run

__all__ = [
    "Audit",
    "AuditorError",
    "CheckpointError",
    "GateClosed",
    "InputError",
    "PolicyError",
    "RunError",
    "__version__",
    "explain",
    "load",
    "load_checkpoint",
    "verify_run",
]

_LAZY = {
    "Audit": "auditor.engine",
    "load": "auditor.engine.exploration",
    "load_checkpoint": "auditor.ledger.promoted",
    "verify_run": "auditor.verify",
}


def __getattr__(name: str) -> Any:
    # Heavy modules are loaded when they are asked for, so that `auditor --help` stays quick.
    from importlib import import_module

    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    if name in {"checks", "datasets", "discovery", "engine", "explain", "ledger", "metrics",
                "mitigation", "policy", "provenance", "report", "stats", "verify"}:  # fmt: skip
        return import_module(f"auditor.{name}")
    raise AttributeError(f"module 'auditor' has no attribute {name!r}")
