"""Plans that spend an error rate over several looks at the same growing data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from auditor.errors import InputError, nearest
from auditor.metrics.intervals import normal_quantile

__all__ = ["SPENDING_PLANS", "alpha_of_look", "spent"]


def _uniform(t: float, alpha: float) -> float:
    return alpha * t


def _pocock(t: float, alpha: float) -> float:
    return alpha * math.log1p((math.e - 1) * t)


def _obrien_fleming(t: float, alpha: float) -> float:
    # 2 − 2Φ(u) is erfc(u/√2), which keeps the digits of a small tail.
    return math.erfc(normal_quantile(1 - alpha) / math.sqrt(2 * t)) if t > 0 else 0.0


SPENDING_PLANS: Mapping[str, Callable[[float, float], float]] = {
    "uniform": _uniform,
    "pocock": _pocock,
    "obrien-fleming": _obrien_fleming,
}


def spent(fraction: float, *, alpha: float, plan: str) -> float:
    """Return how much of the error rate ``alpha`` is spent at this fraction of the information.

    Parameters
    ----------
    fraction:
        The share t of the records, or of the looks, that have been seen: 0 to 1.
    alpha:
        The error rate over all looks, in (0, 1).
    plan:
        ``uniform``: α t; ``pocock``: α ln(1 + (e − 1) t); ``obrien-fleming``: 2 − 2Φ(z/√t) with the
        two-sided z of α, which keeps nearly all for the end.

    Lan and DeMets (1983), Biometrika 70. At 0 nothing is spent, at 1 exactly ``alpha``. Raises
    :class:`InputError` where an argument is out of its range.

    >>> spent(0.5, alpha=0.05, plan="uniform")
    0.025
    >>> round(spent(0.5, alpha=0.05, plan="obrien-fleming"), 5)  # 2 − 2Φ(2.7718)
    0.00557
    """
    if plan not in SPENDING_PLANS:
        raise InputError(f"no plan {plan!r} to spend an error rate",
                         valid=nearest(plan, SPENDING_PLANS))  # fmt: skip
    if not 0 < alpha < 1:
        raise InputError(f"the error rate is {alpha}", valid="a number between 0 and 1")
    if not 0 <= fraction <= 1:
        raise InputError(f"the fraction is {fraction}", valid="a number from 0 to 1")
    return alpha if fraction == 1 else SPENDING_PLANS[plan](fraction, alpha)


def alpha_of_look(look: int, looks: int, *, alpha: float, plan: str) -> float:
    """Return the error rate of look number ``look`` of ``looks``: what the plan spends at it.

    The looks' error rates add up to ``alpha``, so that by Bonferroni's inequality a test at each
    look's own rate errs at any look with probability ``alpha`` at most, whatever the data of
    the looks share. (The boundaries of Lan and DeMets gain a little by using what they share.)
    Raises :class:`InputError` unless 1 ≤ look ≤ looks: a look that was not planned has nothing left
    to spend.

    >>> [round(alpha_of_look(k, 5, alpha=0.05, plan="uniform"), 9) for k in (1, 5)]
    [0.01, 0.01]
    """
    if not 1 <= look <= looks:
        raise InputError(f"look {look} of {looks} was not planned", valid=f"1 to {looks}")
    return spent(look / looks, alpha=alpha, plan=plan) - spent(
        (look - 1) / looks, alpha=alpha, plan=plan
    )
