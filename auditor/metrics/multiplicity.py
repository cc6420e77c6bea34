"""Many p-values or many intervals at once: adjusted p-values, and levels of single comparisons."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.errors import InputError
from auditor.metrics.intervals import normal_quantile

__all__ = ["benjamini_hochberg", "bonferroni_level", "holm", "sidak_level"]

Array = NDArray[np.float64]


def holm(p_values: ArrayLike) -> Array:
    """Return p-values adjusted so that any false rejection at all has probability α at most.

    The k-th smallest of m is the greatest of (m − i + 1) p(i) over i ≤ k, cut at 1; Holm (1979),
    Scandinavian Journal of Statistics 6. Holds under any dependence. No p-values give none. Raises
    :class:`InputError` where a p-value is no probability.

    Parameters
    ----------
    p_values:
        Shape ``[tests]``; the adjusted ones come in the same order.

    >>> holm([0.02, 0.03, 0.001]).round(6).tolist()
    [0.04, 0.04, 0.003]
    """
    p, order = _sorted(p_values)
    factors = np.arange(p.size, 0, -1)
    return _back(np.minimum(np.maximum.accumulate(factors * p), 1.0), order)


def benjamini_hochberg(p_values: ArrayLike) -> Array:
    """Return p-values adjusted so that the expected share of false rejections is α at most.

    The k-th smallest of m is the least of m p(i) / i over i ≥ k; Benjamini and Hochberg (1995),
    JRSS B 57. Holds for independent and for positively dependent tests. No p-values give none.
    Raises :class:`InputError` where a p-value is no probability.

    Parameters
    ----------
    p_values:
        Shape ``[tests]``; the adjusted ones come in the same order.

    >>> benjamini_hochberg([0.02, 0.03, 0.001]).round(6).tolist()
    [0.03, 0.03, 0.003]
    """
    p, order = _sorted(p_values)
    scaled = p * p.size / np.arange(1, p.size + 1)
    return _back(np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0), order)


def bonferroni_level(confidence: float, k: int) -> float:
    """Return the confidence that each of ``k`` intervals needs to hold together: 1 − α/k.

    Holds under any dependence. Raises :class:`InputError` unless 0 < confidence < 1 and k ≥ 1.

    >>> round(bonferroni_level(0.95, 10), 6)
    0.995
    """
    _check(confidence, k)
    return 1 - (1 - confidence) / k


def sidak_level(confidence: float, k: int) -> float:
    """Return the confidence that each of ``k`` independent intervals needs: (1 − α)^(1/k).

    Šidák (1967), JASA 62. Raises :class:`InputError` unless 0 < confidence < 1 and k ≥ 1.

    >>> round(sidak_level(0.81, 2), 6)
    0.9
    """
    _check(confidence, k)
    return math.exp(math.log(confidence) / k)


def _sorted(p_values: ArrayLike) -> tuple[Array, NDArray[np.intp]]:
    p = np.asarray(p_values, np.float64)
    if p.ndim != 1 or not bool(np.all((p >= 0) & (p <= 1))):
        raise InputError("p-values that are no probabilities", valid="a list of numbers in [0, 1]")
    order = np.argsort(p, kind="stable")
    return p[order], order


def _back(adjusted: Array, order: NDArray[np.intp]) -> Array:
    out = np.empty_like(adjusted)
    out[order] = adjusted
    return out


def _check(confidence: float, k: int) -> None:
    normal_quantile(confidence)  # refuses what is no probability
    if k < 1:
        raise InputError(f"{k} comparisons have no level", valid="1 or more")
