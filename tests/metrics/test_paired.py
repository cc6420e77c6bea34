from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.metrics.paired import tango

counts = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(1, 60))


def test_a_published_interval() -> None:
    """Airway hyper-responsiveness before and after transplantation; Fagerland et al. (2014)."""
    assert tango(1, 7, 21, confidence=0.95) == pytest.approx((-0.517, -0.026), abs=5e-4)


@given(counts)
def test_the_bounds_are_where_the_score_test_just_rejects(numbers: tuple[int, int, int]) -> None:
    """The nuisance share by brute maximum of the likelihood, in place of Tango's closed form."""
    from scipy.optimize import minimize_scalar

    gained, lost, both = numbers
    n = gained + lost + both
    for bound in tango(gained, lost, n, confidence=0.95):
        if abs(bound) > 0.999 or abs(bound - (gained - lost) / n) < 1e-6:
            continue
        low, high = max(0.0, -bound), (1 - bound) / 2

        def unlikely(q: float, bound: float = bound) -> float:
            shares = np.clip([q + bound, q, 1 - 2 * q - bound], 1e-300, 1)
            return -float(np.dot([gained, lost, both], np.log(shares)))

        q = minimize_scalar(unlikely, bounds=(low, high), method="bounded",
                            options={"xatol": 1e-12}).x  # fmt: skip
        z = (gained - lost - n * bound) / np.sqrt(n * (2 * q + bound * (1 - bound)))
        assert abs(z) == pytest.approx(1.959964, abs=2e-3)


@given(counts)
def test_swapping_the_two_mirrors_the_interval(numbers: tuple[int, int, int]) -> None:
    gained, lost, both = numbers
    n = gained + lost + both
    low, high = tango(gained, lost, n, confidence=0.9)
    assert tango(lost, gained, n, confidence=0.9) == pytest.approx((-high, -low), abs=1e-9)
    assert low - 1e-9 <= (gained - lost) / n <= high + 1e-9


def test_no_discordant_pair_still_has_an_interval() -> None:
    low, high = tango(0, 0, 100, confidence=0.95)
    assert high == pytest.approx(1.959964**2 / (100 + 1.959964**2), abs=1e-6)
    assert low == pytest.approx(-high)


@pytest.mark.parametrize("numbers", [(-1, 0, 5), (3, 3, 5), (0, 0, 0)])
def test_counts_that_are_none_are_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(InputError):
        tango(*numbers, confidence=0.95)


@pytest.mark.slow
def test_the_interval_covers_the_paired_difference() -> None:
    random = np.random.default_rng(5)
    shares = [0.08, 0.04, 0.88]
    drawn = random.multinomial(80, shares, size=2_000)
    hits = [
        low <= 0.04 <= high
        for low, high in (tango(int(a), int(b), 80, confidence=0.95) for a, b, _ in drawn)
    ]
    assert np.mean(hits) >= 0.94
