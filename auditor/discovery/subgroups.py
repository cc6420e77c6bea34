"""Slices of high error, found on one half of the records and confirmed on the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.discovery.sliceline import Conjunction, ErrorSlice, members, sliceline
from auditor.errors import InputError
from auditor.metrics.estimates import Outcome
from auditor.metrics.samples import Absent
from auditor.metrics.subgroups import ErrorSums, error_difference

__all__ = ["Subgroup", "Subgroups", "confirmation_half", "discover"]


@dataclass(frozen=True, slots=True)
class Subgroup:
    """A slice found on the discovery half, and its errors on both halves.

    ``difference`` is the error inside less the error outside on the confirmation half; all
    subgroups' intervals hold together.
    """

    conjunction: Conjunction
    score: float
    discovery: ErrorSums
    inside: ErrorSums
    outside: ErrorSums
    difference: Outcome

    @property
    def confirmed(self) -> bool:
        """Whether the interval lies above 0: more errors inside than outside."""
        found = self.difference
        return not isinstance(found, Absent) and found.low is not None and found.low > 0


@dataclass(frozen=True, slots=True)
class Subgroups:
    """The subgroups, best score first, and the errors of everybody in both halves."""

    found: tuple[Subgroup, ...]
    discovery: ErrorSums
    confirmation: ErrorSums


def discover(
    codes: ArrayLike,
    levels: Sequence[int],
    errors: ArrayLike,
    *,
    seed: int = 0,
    confirmation: ArrayLike | None = None,
    confidence: float = 0.95,
    k: int = 10,
    support: int | None = None,
    alpha: float = 0.95,
    depth: int = 3,
    device: str | None = None,
) -> Subgroups:
    """Find slices of high error on one half of the rows, and measure them on the other.

    Parameters
    ----------
    codes, levels, errors, k, alpha, depth, device:
        As for :func:`~auditor.discovery.sliceline.sliceline`.
    seed:
        Of the permutation that makes the halves.
    confirmation:
        Which rows confirm, shape ``[rows]``, in place of a seeded half: where rows belong
        together (a person, a template), all of them must be on one side.
    support:
        The fewest records of a slice in the discovery half, and in the confirmation half; the
        greater of 30 and a hundredth of the discovery half without it.

    The slice that is worst of many looks worse than it is; on records that took no part in
    choosing it, it does not. The interval of each difference has the level 1 − (1 − confidence)/m
    for m subgroups (Bonferroni), so that all hold together, however the slices overlap: with the
    probability ``confidence`` no subgroup is confirmed that has no more errors than the rest. See
    :func:`~auditor.metrics.subgroups.error_difference` for the intervals. Slices of the same
    records are one: the one of the fewest features. Raises :class:`InputError` as ``sliceline``
    does, and for a mask of another shape.

    >>> found = discover([[0], [0], [1], [1]] * 50, [2], [1, 1, 0, 1] * 50, support=10).found
    >>> [(group.conjunction, group.discovery.n + group.inside.n) for group in found]
    [(((0, 0),), 100)]
    """
    e = np.asarray(errors, np.float64)
    table = np.asarray(codes)
    confirms = (
        confirmation_half(e.size, seed=seed)
        if confirmation is None
        else _mask(confirmation, e.size)
    )
    if not table.size:
        table = table.reshape(e.size, len(levels)).astype(np.int64)
    ours, theirs = table[~confirms], table[confirms]
    least = max(30, -(-ours.shape[0] // 100)) if support is None else support
    # Several times k, because slices of the same records, or too small a half, fall away.
    candidates = sliceline(
        ours, levels, e[~confirms], k=8 * k, support=least, alpha=alpha, depth=depth, device=device
    )
    kept: list[tuple[ErrorSlice, NDArray[np.bool_]]] = []
    seen: set[bytes] = set()
    for candidate in candidates:
        inside = members(theirs, candidate.conjunction)
        same = np.packbits(members(ours, candidate.conjunction)).tobytes()
        if same not in seen and int(inside.sum()) >= least and len(kept) < k:
            kept.append((candidate, inside))
        seen.add(same)
    everybody = ErrorSums.of(e[confirms])
    # All errors of the half that chooses and the half that confirms: 0/1 errors need no variance.
    binary = bool(np.isin(e, (0.0, 1.0)).all())
    found: list[Subgroup] = []
    for candidate, inside in kept:
        own = ErrorSums.of(e[confirms][inside])
        rest = ErrorSums.of(e[confirms][~inside])
        difference = error_difference(
            own, rest, confidence=confidence, tests=len(kept), binary=binary
        )
        chosen = ErrorSums.of(e[~confirms][members(ours, candidate.conjunction)])
        found.append(
            Subgroup(candidate.conjunction, candidate.score, chosen, own, rest, difference)
        )
    return Subgroups(tuple(found), ErrorSums.of(e[~confirms]), everybody)


def confirmation_half(rows: int, *, seed: int) -> NDArray[np.bool_]:
    """Choose the half of the rows that confirms, at random: shape ``[rows]``.

    >>> int(confirmation_half(5, seed=0).sum())
    2
    """
    chosen = np.zeros(rows, bool)
    chosen[np.random.default_rng(seed).permutation(rows)[: rows // 2]] = True
    return chosen


def _mask(given: ArrayLike, rows: int) -> NDArray[np.bool_]:
    mask = np.asarray(given)
    if mask.shape != (rows,) or mask.dtype != np.bool_:
        raise InputError(
            f"the confirmation rows are {mask.dtype} of shape {mask.shape}",
            valid=f"truth values of shape ({rows},)",
        )
    return mask
