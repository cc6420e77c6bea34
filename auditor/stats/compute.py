"""The sums behind the compute of a training: operations of sampled steps, time, energy, carbon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.stats.groups import Groups
from auditor.stats.table import SliceTable

__all__ = ["COMPUTE", "COMPUTE_COLUMNS", "ENERGY_COLUMNS", "ENERGY_PARTS", "compute_zero"]

COMPUTE = "compute-sums"

ENERGY_PARTS = ("accelerator", "cpu", "memory")

ENERGY_COLUMNS = (
    *(f"joule:{part}:{label}" for part in ENERGY_PARTS for label in ("measured", "estimated")),
    "joule:low", "joule:high", "joule:readings", "seconds:blind",
    "gram", "gram:low", "gram:high", "gram:assumed",
)  # fmt: skip
"""Joules by part of the machine, and whether a counter measured them or they were estimated; their
bounds; how many parts were read; seconds of accelerators that nobody could read. Then grams of
carbon dioxide equivalent, their bounds, and those of them that stand on an assumed intensity."""

COMPUTE_COLUMNS = (
    "steps", "records", "tokens", "records:tokenless", "flops:6nd",
    "windows:compiled", "windows:failed", "samples", "samples:incomplete",
    "sum:flops", "squares:flops",
    "sum:records", "squares:records", "products:records",
    "sum:tokens", "squares:tokens", "products:tokens",
    "devices", "seconds:device", *ENERGY_COLUMNS,
)  # fmt: skip
"""What all steps saw: steps, records, tokens (positions), records whose tokens nobody told, and
6·N·D. Steps that were to be counted and were not: compiled code, or counting that failed. Of the
sampled steps: how many, in how many of them an operation had no formula, and the sums, squares and
products of operations with records and with tokens. Then devices and their seconds, and
:data:`ENERGY_COLUMNS`."""


def compute_zero(context: Mapping[str, Any] | None = None) -> SliceTable:
    """Return empty sums; they have no groups, and one row.

    ``context`` may hold ``parameters`` (N) and ``base_flops``, what was stated of the base model.
    """
    return SliceTable.zero(COMPUTE, Groups.declare([]), COMPUTE_COLUMNS, sums=True, context=context)
