from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.discovery.lattice import Level, Literals, join
from auditor.discovery.sliceline import ErrorSlice, members, sliceline
from auditor.errors import InputError


def score(size: int, error: float, rows: int, total: float, alpha: float) -> float:
    return alpha * ((error / size) / (total / rows) - 1) - (1 - alpha) * (rows / size - 1)


def by_brute_force(
    codes: np.ndarray, levels: list[int], errors: np.ndarray, *, support: int, alpha: float,
    depth: int,
) -> list[ErrorSlice]:  # fmt: skip
    """Every conjunction there is, one after the other."""
    out: list[ErrorSlice] = []
    rows, total = len(errors), errors.sum()
    for width in range(1, depth + 1):
        for features in itertools.combinations(range(len(levels)), width):
            for values in itertools.product(*(range(levels[f]) for f in features)):
                conjunction = tuple(zip(features, values, strict=True))
                inside = members(codes, conjunction)
                e = errors[inside]
                if inside.sum() >= support and e.sum() > 0:
                    value = score(int(inside.sum()), e.sum(), rows, total, alpha)
                    out.append(ErrorSlice(conjunction, e.size, e.sum(), e.max(), value))
    return sorted((s for s in out if s.score > 1e-12), key=lambda s: -s.score)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, features = draw(st.integers(1, 60)), draw(st.integers(1, 4))
    levels = [draw(st.integers(1, 4)) for _ in range(features)]
    codes = np.stack([rng.integers(0, size, rows) for size in levels], axis=1)
    if features > 1 and draw(st.booleans()):
        codes[:, -1] = np.minimum(codes[:, 0], levels[-1] - 1)  # features that depend
    kind = draw(st.sampled_from(["zero-one", "scaled", "real", "few values"]))
    errors = {
        "zero-one": (rng.random(rows) < 0.3).astype(float),
        "scaled": 2.5 * (rng.random(rows) < 0.3),
        "real": rng.exponential(1.0, rows) * (codes[:, 0] + 0.1),
        "few values": rng.integers(0, 4, rows).astype(float),
    }[kind]
    return {
        "codes": codes, "levels": levels, "errors": errors, "k": draw(st.integers(1, 12)),
        "support": draw(st.integers(1, 12)), "alpha": draw(st.sampled_from([0.3, 0.7, 0.95, 1.0])),
        "depth": draw(st.integers(1, 4)),
    }  # fmt: skip


@given(tables())
def test_the_best_slices_are_those_of_brute_force(table: dict[str, Any]) -> None:
    found = sliceline(**table)
    k = table.pop("k")
    every = by_brute_force(**table)
    assert [s.score for s in found] == pytest.approx([s.score for s in every[:k]])
    known = {s.conjunction: s for s in every}
    for one in found:
        true = known[one.conjunction]
        assert one.size == true.size
        assert (one.error, one.largest) == pytest.approx((true.error, true.largest))


@given(tables())
def test_torch_counts_what_numpy_counts(table: dict[str, Any]) -> None:
    here, there = sliceline(**table), sliceline(**table, device="cpu")
    assert [s.score for s in here] == pytest.approx([s.score for s in there])
    assert [s.largest for s in there] == pytest.approx(
        [float(table["errors"][members(table["codes"], s.conjunction)].max()) for s in there]
    )


@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(table: dict[str, Any], random: Any) -> None:
    order = list(range(len(table["errors"])))
    random.shuffle(order)
    turned = {**table, "codes": table["codes"][order], "errors": table["errors"][order]}
    here, there = sliceline(**table), sliceline(**turned)
    assert [s.score for s in here] == pytest.approx([s.score for s in there])


def test_a_case_by_hand() -> None:
    # 8 rows, 3 errors: both of (1, 1), and one of (0, 0). Mean error 3/8.
    codes = [[0, 0], [0, 0], [0, 1], [0, 1], [1, 0], [1, 0], [1, 1], [1, 1]]
    errors = [1, 0, 0, 0, 0, 0, 1, 1]
    found = sliceline(codes, [2, 2], errors, k=3, support=1, alpha=0.9)
    assert found[0].conjunction == ((0, 1), (1, 1))
    assert (found[0].size, found[0].error, found[0].largest) == (2, 2.0, 1.0)
    assert found[0].score == pytest.approx(0.9 * (8 / 3 - 1) - 0.1 * (4 - 1))
    # Half of (1, *) and of (*, 1) are errors: .9 (.5/.375 − 1) − .1 (2 − 1) = .2 each.
    assert [s.conjunction for s in found[1:]] == [((0, 1),), ((1, 1),)]
    assert [s.score for s in found[1:]] == pytest.approx([0.2, 0.2])


def test_a_slice_under_the_least_support_is_never_given() -> None:
    codes = [[0]] * 95 + [[1]] * 5
    errors = [0.0] * 95 + [1.0] * 5
    assert sliceline(codes, [2], errors, support=6) == ()
    assert sliceline(codes, [2], errors, support=5)[0].conjunction == ((0, 1),)
    assert sliceline(codes, [2], errors) == (), "32 records are the least by default"


@pytest.mark.parametrize("errors", [[], [0.0, 0.0, 0.0]])
def test_no_rows_and_no_errors_give_no_slices(errors: list[float]) -> None:
    assert sliceline([[0]] * len(errors), [1], errors, support=1) == ()


def test_everybody_alone_is_no_slice() -> None:
    assert sliceline([[0]] * 9, [1], [1.0] * 9, support=1) == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"errors": [1.0, float("nan")]}, "negative or not finite"),
        ({"errors": [1.0, float("inf")]}, "negative or not finite"),
        ({"errors": [1.0, -1.0]}, "negative or not finite"),
        ({"codes": [[0], [2]]}, "out of range"),
        ({"codes": [[0], [-1]]}, "out of range"),
        ({"codes": [[0.5], [1.0]]}, "not integers"),
        ({"codes": [[0, 0], [1, 0]]}, "of shape"),
        ({"errors": [1.0]}, "of shape"),
        ({"k": 0}, "k is 0"),
        ({"support": 0}, "support is 0"),
        ({"depth": 0}, "depth is 0"),
        ({"alpha": 0.0}, "alpha is 0"),
    ],
)
def test_what_cannot_be_used_is_refused(change: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {"codes": [[0], [1]], "levels": [2], "errors": [0.0, 1.0]} | change
    with pytest.raises(InputError, match=message):
        sliceline(fields.pop("codes"), fields.pop("levels"), fields.pop("errors"), **fields)


def test_conjunctions_that_cannot_be_numbered_are_refused() -> None:
    values = np.arange(15_000)
    literals = Literals(values // 3_000, values % 3_000, np.arange(6) * 3_000, *[values[:0]] * 3)
    slices = np.array([[0, 3_000, 6_000, 9_000], [0, 3_000, 6_000, 12_000]])
    level = Level(slices, np.ones(2, np.int64), np.ones(2), np.ones(2))
    with pytest.raises(InputError, match="conjunctions of 5 out of 15,000 values"):
        list(join(level, literals))


@pytest.mark.slow
def test_adult_takes_seconds(adult: pd.DataFrame, figures: Any) -> None:
    from auditor.datasets.adult import load_adult
    from auditor.discovery.encode import encode

    table = load_adult().drop(columns=["income", "id"])
    encoded = encode({name: table[name] for name in table.columns})
    errors = (adult["y"] != adult["predicted"]).to_numpy(float)
    begin = time.perf_counter()
    found = sliceline(encoded.codes, encoded.sizes, errors, k=10, depth=3)
    seconds = time.perf_counter() - begin
    best = str(encoded.slice_of(found[0].conjunction))
    figures(
        "sliceline on Adult",
        {"rows": len(errors), "features": len(encoded.sizes), "depth": 3, "seconds": seconds,
         "best": best, "error rate": found[0].error / found[0].size},
    )  # fmt: skip
    # The rule of the predictions takes degree and marriage for income, and nothing else does.
    assert best == "education-num=>=13, marital-status=Never-married"
    assert seconds < 60
