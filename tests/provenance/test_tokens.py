from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.provenance.ngrams import shingles, windows
from auditor.provenance.tokens import Tokens, concatenated, distinct, mixed, text_tokens

ascii_texts = st.lists(st.none() | st.text(st.sampled_from("abAB9 ,.-\n"), max_size=40), max_size=8)


def tokens(*texts: str | None) -> Tokens:
    return text_tokens(pa.array(texts, pa.string()))


def documents(found: Tokens) -> list[list[int]]:
    return [
        found.values[a:b].tolist()
        for a, b in zip(found.offsets[:-1], found.offsets[1:], strict=True)
    ]


def same(one: str, other: str) -> bool:
    return documents(tokens(one)) == documents(tokens(other))


@given(ascii_texts)
def test_tokens_are_the_words_of_a_regular_expression(texts: list[str | None]) -> None:
    found = documents(tokens(*texts))
    words = [re.findall("[a-z0-9]+", (text or "").lower()) for text in texts]
    assert [len(d) for d in found] == [len(w) for w in words]
    hashes = {}
    for document, known in zip(found, words, strict=True):
        for value, word in zip(document, known, strict=True):
            assert hashes.setdefault(word, value) == value
    assert len(set(hashes.values())) == len(hashes)


@settings(max_examples=25)
@given(st.lists(st.text(max_size=30), max_size=6))
def test_a_text_has_the_same_tokens_wherever_it_stands(texts: list[str]) -> None:
    texts = [text.encode(errors="ignore").decode() for text in texts]
    assert documents(tokens(*texts)) == [documents(tokens(text))[0] for text in texts]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Well,\nDONE!", "well done"),
        ("the\r\n  quick\tfox", "The quick fox."),
        ("ﬁne ＡＢＣ １２", "fine abc 12"),
        ("cafe\u0301 STRASSE", "CAFÉ straße"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
        ("日本語、テスト", "日 本 語 テスト"),
        ("a\x1fb é", "a b é"),
        ("“quoted” – dash…", "quoted dash"),
        ("Ünï", "ünï"),
    ],
)
def test_what_normalisation_takes_away_makes_no_difference(one: str, other: str) -> None:
    assert same(one, other)


@pytest.mark.parametrize(("one", "other"), [("resume", "résumé"), ("ab c", "a bc"), ("12", "21")])
def test_what_it_leaves_makes_one(one: str, other: str) -> None:
    assert not same(one, other)


@pytest.mark.parametrize("length", [7, 8, 9, 15, 16, 17, 63, 64, 65, 72, 300])
def test_words_of_any_length_differ_by_each_of_their_letters(length: int) -> None:
    word = "a" * length
    others = [word[:place] + "b" + word[place + 1 :] for place in range(length)]
    found = tokens(word, *others, word + "a", word, "x " + word)
    assert found.values[0] == found.values[-3] == found.values[-1]
    assert len(set(found.values[:-3].tolist())) == length + 2


def test_many_pieces_are_one_text_after_another() -> None:
    words = [f"word{i} other{i % 7}" for i in range(20_000)]
    found = text_tokens(pa.chunked_array([words[:9_000], words[9_000:]]))
    assert found.documents == 20_000
    assert documents(tokens(words[12_345]))[0] == documents(found)[12_345]
    long = "x " * 300_000
    assert tokens("a", long, "b").lengths.tolist() == [1, 300_000, 1]


def test_no_texts_have_no_tokens() -> None:
    assert tokens().documents == 0
    assert tokens("", None, "!?").lengths.tolist() == [0, 0, 0]
    assert shingles(tokens("", None), 3).lengths.tolist() == [0, 0]
    assert concatenated([tokens(), tokens("a")]).documents == 1


@given(st.lists(st.lists(st.integers(0, 3), max_size=9), max_size=6), st.integers(1, 4))
def test_shingles_are_the_runs_of_tokens(given_documents: list[list[int]], size: int) -> None:
    lengths = [len(d) for d in given_documents]
    values = mixed(np.array([v for d in given_documents for v in d], np.uint64))
    made = shingles(Tokens(values, np.cumsum([0, *lengths])), size)
    runs = [
        [tuple(d[i : i + size]) for i in range(max(len(d) - size + 1, min(len(d), 1)))]
        for d in given_documents
    ]
    names: dict[object, int] = {}
    for document, known in zip(documents(made), runs, strict=True):
        assert len(document) == len(known)
        for value, run in zip(document, known, strict=True):
            assert names.setdefault(run, value) == value
    assert len(set(names.values())) == len(names)


@given(st.lists(st.lists(st.integers(0, 2), max_size=7), max_size=5))
def test_windows_cross_no_border(given_documents: list[list[int]]) -> None:
    lengths = [len(d) for d in given_documents]
    values = mixed(np.array([v for d in given_documents for v in d], np.uint64))
    found = {n: h.tolist() for n, _, h in windows(Tokens(values, np.cumsum([0, *lengths])), {2, 4})}
    for size in (2, 4):
        runs = [tuple(d[i : i + size]) for d in given_documents for i in range(len(d) - size + 1)]
        assert len(found[size]) == len(runs)
        assert len(set(zip(found[size], runs, strict=True))) == len(set(runs))
        assert len(set(found[size])) == len(set(runs))


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_distinct_values_are_those_of_a_set(values: list[int]) -> None:
    assert distinct(np.array(values, np.uint64)).tolist() == sorted(set(values))


def test_the_hash_of_a_text_stays_what_it_is() -> None:
    """Nothing is stored by it, but the same data must give the same counts everywhere."""
    assert tokens("The quick brown fox").keys().tolist() == [0x65667F9BD0F8482D]
