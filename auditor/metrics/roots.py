"""Roots of functions on whole arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["root_between"]

Array = NDArray[np.float64]


def root_between(function: Callable[[Array], Array], a: Array, b: Array) -> Array:
    """Find a root between each ``a`` and ``b`` where the function changes its sign.

    Chandrupatla's method (1997), Advances in Engineering Software 28: inverse quadratic steps
    where they are safe, bisection elsewhere; on whole arrays.

    >>> root_between(lambda x: x * x - 4, np.array([0.0]), np.array([10.0])).round(12).tolist()
    [2.0]
    """
    fa, fb = function(a), function(b)
    c, fc = a, fa
    t = np.full_like(a, 0.5)
    for _ in range(100):
        x = a + t * (b - a)
        fx = function(x)
        same = np.sign(fx) == np.sign(fa)
        c, fc = np.where(same, a, b), np.where(same, fa, fb)
        b, fb = np.where(same, b, a), np.where(same, fb, fa)
        a, fa = x, fx
        best = np.where(np.abs(fa) < np.abs(fb), a, b)
        tolerance = 1e-13 * (1 + np.abs(best))
        width = np.abs(b - a)
        if bool(np.all((width < 2 * tolerance) | (fa == 0) | (fb == 0))):
            break
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
            quadratic = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * (
                fb / (fc - fb)
            )
            safe = (phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi) & np.isfinite(quadratic)
        edge = np.minimum(0.5, tolerance / np.maximum(width, 1e-300))
        t = np.minimum(np.maximum(np.where(safe, quadratic, 0.5), edge), 1 - edge)
    return np.where(np.abs(fa) < np.abs(fb), a, b)
