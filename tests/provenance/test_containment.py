from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.provenance.containment import containment
from auditor.provenance.entities import entity_overlap
from auditor.provenance.tokens import Tokens, text_tokens

WORDS = [f"word{i}" for i in range(40)]


def stream(*texts: str) -> list[Tokens]:
    return [text_tokens(pa.array([text])) for text in texts]


def shares(texts: list[str], source: list[str], **how: int) -> list[float]:
    return containment({"test": stream(*texts)}, stream(*source), **how)["test"].tolist()


def test_re_wrapped_text_inside_a_longer_one_is_contained() -> None:
    page = "Before: " + ",\n".join(WORDS) + "; and after"
    assert shares([" ".join(WORDS)], [page]) == [1.0]
    assert shares(["\n".join(WORDS).upper()], [page.replace("\n", " ")]) == [1.0]


def test_a_changed_word_takes_thirteen_n_grams_away() -> None:
    changed = " ".join([*WORDS[:20], "other", *WORDS[21:]])
    assert shares([changed], [" ".join(WORDS)]) == [(28 - 13) / 28]
    assert shares([changed], [" ".join(WORDS)], ngram=2) == [37 / 39]


def test_a_short_text_is_looked_for_whole_and_a_very_short_one_not_at_all() -> None:
    source = [" ".join(WORDS)]
    ten, other = " ".join(WORDS[5:15]), " ".join([*WORDS[5:14], "other"])
    seven = " ".join(WORDS[:7])
    found = shares([ten, other, seven, ""], source)
    assert found[:2] == [1.0, 0.0]
    assert np.isnan(found[2:]).all()
    assert shares([seven], source, ngram=5) == [1.0]


def test_n_grams_do_not_run_from_one_record_into_the_next() -> None:
    assert shares([" ".join(WORDS[:13])], [" ".join(WORDS[:6]), " ".join(WORDS[6:13])]) == [0.0]


def test_another_language_is_not_found() -> None:
    assert shares(["十个鸭蛋每天早上吃三个剩下的全部卖掉"], ["ten duck eggs each day " * 3]) == [
        0.0
    ]


documents = st.lists(st.lists(st.integers(0, 2), max_size=9), max_size=6)


@settings(max_examples=40)
@given(documents, documents, st.integers(2, 5), st.integers(1, 5))
def test_shares_are_those_of_sets_of_tuples(
    test: list[list[int]], source: list[list[int]], ngram: int, shortest: int
) -> None:
    def written(given_documents: list[list[int]]) -> list[str]:
        return [" ".join(map(str, document)) for document in given_documents]

    def runs(document: list[int], size: int) -> list[tuple[int, ...]]:
        return [tuple(document[i : i + size]) for i in range(len(document) - size + 1)]

    found = shares(written(test), written(source), ngram=ngram, shortest=shortest)
    for document, share in zip(test, found, strict=True):
        if len(document) < min(shortest, ngram):
            assert np.isnan(share)
            continue
        size = min(ngram, len(document))
        known = {run for other in source for run in runs(other, size)}
        own = runs(document, size)
        assert share == sum(run in known for run in own) / len(own)


def test_no_texts_contain_nothing() -> None:
    assert shares([], ["a b"]) == []
    assert shares([" ".join(WORDS)], []) == [0.0]


@given(
    st.lists(st.none() | st.integers(0, 4), max_size=12),
    st.lists(st.none() | st.integers(0, 4), max_size=12),
)
def test_entities_are_those_of_sets(own: list[int | None], other: list[int | None]) -> None:
    def given_as(entities: list[int | None]) -> tuple[np.ndarray, np.ndarray]:
        return (
            np.array([e or 0 for e in entities], np.uint64),
            np.array([e is not None for e in entities], bool),
        )

    found = entity_overlap(*given_as(own), *given_as(other))
    known = set(other) - {None}
    assert found.shared.tolist() == [e in known for e in own]
    slices = np.arange(len(own)) % 2
    marked = found.distinct(slices)
    for one in (0, 1):
        here = {e for e, s in zip(own, slices, strict=True) if s == one and e is not None}
        assert marked[slices == one].sum() == len(here)
