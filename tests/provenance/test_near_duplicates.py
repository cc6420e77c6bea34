from __future__ import annotations

from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.provenance.banding import Bands
from auditor.provenance.jaccard import as_sets, jaccard
from auditor.provenance.near_duplicates import near_duplicates
from auditor.provenance.near_rows import differing_columns, near_rows, row_tokens
from auditor.provenance.signatures import candidate_pairs
from auditor.provenance.tokens import Tokens, mixed, text_tokens


def runs(text: str, size: int) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[i : i + size]) for i in range(max(len(words) - size + 1, 1))}


def near(a: set[tuple[str, ...]], b: set[tuple[str, ...]], least: float) -> bool:
    return len(a & b) >= least * len(a | b)


def texts(count: int, seed: int) -> list[str]:
    """Half of the texts are another one with a word or two changed."""
    rng = np.random.default_rng(seed)
    made = [[f"w{i}" for i in rng.integers(0, 300, rng.integers(5, 40))] for _ in range(count)]
    for place in range(1, count, 2):
        made[place] = list(made[rng.integers(0, place)])
        for _ in range(rng.integers(0, 3)):
            made[place][rng.integers(0, len(made[place]))] = f"w{rng.integers(0, 300)}"
    return [" ".join(words) for words in made]


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("least", [0.5, 0.8])
def test_what_is_found_is_as_similar_and_almost_nothing_is_missed(size: int, least: float) -> None:
    made = texts(450, seed=size)
    train, test = made[:300], made[300:]
    found = near_duplicates(
        {"train": [text_tokens(pa.array(train[:150])), text_tokens(pa.array(train[150:]))],
         "test": [text_tokens(pa.array(test))]},
        similarity=least, shingle=size,
    )  # fmt: skip
    old, new = ([runs(text, size) for text in part] for part in (train, test))
    known = np.array([any(near(a, b, least) for b in old) for a in new])
    earlier = np.array([any(near(a, b, least) for b in old[:i]) for i, a in enumerate(old)])
    for true, marked in ((known, found["test"].in_source), (earlier, found["train"].repeated)):
        assert true.sum() > 20
        assert not (marked & ~true).any()
        assert (true & ~marked).sum() <= 1
    assert (found["train"].in_source == found["train"].repeated).all()


def test_the_same_text_otherwise_written_is_near() -> None:
    parts = {
        "train": [text_tokens(pa.array(["A b,\nC d!", None, "x y z", "a b c d"]))],
        "test": [text_tokens(pa.array(["", "X Y\nZ", "q r s", "a b  c d"]))],
    }
    found = near_duplicates(parts, similarity=1.0)
    assert found["train"].repeated.tolist() == [False, False, False, True]
    assert found["train"].empty.tolist() == [False, True, False, False]
    assert found["test"].in_source.tolist() == [False, True, False, True]
    assert found["test"].repeated.tolist() == [False] * 4


def test_documents_that_are_all_alike_make_no_pairs() -> None:
    alike = [text_tokens(pa.array(["one and the same text"] * 50_000))] * 2
    found = near_duplicates({"train": alike}, similarity=0.8)["train"]
    assert found.repeated.sum() == 99_999
    assert found.uncompared == 0


def test_no_documents_have_no_duplicates() -> None:
    found = near_duplicates({"train": [], "test": [text_tokens(pa.array(["a"]))]}, similarity=0.8)
    assert found["train"].repeated.size == 0
    assert found["test"].in_source.tolist() == [False]
    nothing = near_duplicates({"train": [text_tokens(pa.array(["", None]))]}, similarity=0.8)
    assert nothing["train"].repeated.tolist() == [False, False]


def test_crowded_bands_are_bounded_and_what_is_left_out_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("auditor.provenance.signatures._MOST_PAIRS", 4_000)
    sets = Tokens(np.zeros(50, np.uint64), np.arange(51))
    first, _, left_out = candidate_pairs(sets, Bands(4, 2))
    assert first.size <= 4_000
    assert left_out == 4 * (50 * 49 // 2) - 4_000
    made = [f"the same twenty words {' '.join(map(str, range(16)))} but one {i}" for i in range(60)]
    found = near_duplicates({"train": [text_tokens(pa.array(made))]}, similarity=0.5, shingle=1)
    assert found["train"].uncompared > 0
    assert found["train"].repeated.sum() == 59


@pytest.mark.parametrize("least", [0.3, 0.5, 0.7, 0.8, 0.9, 1.0])
def test_bands_miss_at_most_one_pair_in_a_thousand(least: float) -> None:
    bands = Bands.of(least)
    assert bands.missed(least) <= 1e-3
    assert bands.slots <= 64
    wider = Bands(64 // (bands.rows + 1), bands.rows + 1) if bands.rows < 64 else bands
    assert bands.rows == 64 or wider.missed(least) > 1e-3


def test_bands_by_hand() -> None:
    assert Bands(2, 3).missed(0.5) == (1 - 1 / 8) ** 2


@pytest.mark.slow
def test_pairs_share_a_band_as_often_as_is_said() -> None:
    """20,000 pairs of one similarity: the share that is missed, within four standard errors."""
    rng = np.random.default_rng(0)
    pairs, common, alone = 20_000, 30, 10
    values = rng.integers(0, 2**63, (pairs, common + 2 * alone)).astype(np.uint64)
    one = values[:, : common + alone]
    other = np.concatenate([values[:, :common], values[:, common + alone :]], axis=1)
    flat = np.stack([one, other], axis=1).reshape(-1)
    sets = Tokens(flat, np.arange(2 * pairs + 1) * (common + alone))
    bands = Bands(8, 4)
    first, second, _ = candidate_pairs(sets, bands)
    met = ((first % 2 == 0) & (second == first + 1)).sum() / pairs
    expected = 1 - bands.missed(common / (common + 2 * alone))
    assert abs(met - expected) < 4 * np.sqrt(expected * (1 - expected) / pairs)


sets_of_numbers = st.lists(st.lists(st.integers(0, 9), max_size=12), min_size=2, max_size=6)


@given(sets_of_numbers)
def test_jaccard_is_that_of_sets(given_sets: list[list[int]]) -> None:
    values = mixed(np.array([v for s in given_sets for v in s], np.uint64))
    made = as_sets(Tokens(values, np.cumsum([0, *map(len, given_sets)])))
    pairs = np.array(list(combinations(range(len(given_sets)), 2)))
    known = [
        len(set(given_sets[i]) & set(given_sets[j]))
        / max(len(set(given_sets[i]) | set(given_sets[j])), 1)
        for i, j in pairs
    ]
    assert jaccard(made, pairs[:, 0], pairs[:, 1]).tolist() == known
    some = jaccard(made, pairs[:, 0], pairs[:, 1], least=0.5)
    assert [v for v in some if v >= 0.5] == [v for v in known if v >= 0.5]


@settings(max_examples=30)
@given(
    st.lists(st.lists(st.integers(0, 2), min_size=6, max_size=6), max_size=15),
    st.lists(st.lists(st.integers(0, 2), min_size=6, max_size=6), max_size=15),
    st.sampled_from([0.45, 0.7, 0.8, 1.0]),
)
def test_near_rows_are_those_of_every_comparison(
    train: list[list[int]], test: list[list[int]], least: float
) -> None:
    def hashed(rows: list[list[int]]) -> np.ndarray:
        values = np.array(rows, np.uint64).reshape(-1, 6)
        return mixed(values + np.arange(6, dtype=np.uint64) * np.uint64(10))

    def alike(a: list[int], b: list[int]) -> bool:
        differing = sum(x != y for x, y in zip(a, b, strict=True))
        return (6 - differing) / (6 + differing) >= least

    found = near_rows({"train": hashed(train), "test": hashed(test)}, similarity=least)
    assert found["test"].in_source.tolist() == [any(alike(a, b) for b in train) for a in test]
    assert found["train"].repeated.tolist() == [
        any(alike(a, b) for b in train[:i]) for i, a in enumerate(train)
    ]
    assert found["test"].repeated.tolist() == [
        any(alike(a, b) for b in test[:i]) for i, a in enumerate(test)
    ]


def test_wide_rows_are_found_by_minhash() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**63, (300, 60)).astype(np.uint64)
    values[200:, :] = values[:100, :]
    values[200:250, :5] += np.uint64(1)
    values[250:, :10] += np.uint64(1)
    assert differing_columns(60, 0.8) == 6
    found = near_rows({"train": values[:200], "test": values[200:]}, similarity=0.8)
    assert found["test"].in_source.tolist() == [True] * 50 + [False] * 50


def test_row_values_are_numbers_or_normalised_texts() -> None:
    numbers = pa.array([1.0, None, -1.0, None, None, None])
    words = pa.array([None, "Ab,  C", None, "ab c", None, "ab d"])
    made = row_tokens([(numbers, words), (numbers, words)])
    first = made[:, 0]
    assert first[1] == first[3]
    assert len(set(first.tolist())) == 5
    assert not set(first.tolist()) & set(made[:, 1].tolist())
