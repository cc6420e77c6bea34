from __future__ import annotations

import hashlib
import hmac
import itertools
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.evidence import canonical_json
from auditor.provenance import scan_personal_data
from auditor.provenance.personal_data import KIND_IDS, Search, find, scan
from auditor.provenance.personal_data.matching import matches

KEY = bytes(range(32))
TEXTS = [
    "mail a@example.org or b@example.org", "nothing", None, "", "IBAN DE89370400440532013000",
    "call +44 20 7946 0958", "naïve café ☎ +44 20 7946 0958", "a@example.org",
]  # fmt: skip
TABLE = pa.table({"note": TEXTS, "n": list(range(8)), "x": [0.5] * 8})


def test_records_kinds_columns_and_occurrences_are_counted() -> None:
    found = scan_personal_data([TABLE])
    assert (found.records, found.affected) == (8, 5)
    assert {k: n for k, n in found.kinds.items() if n} == {"email": 2, "iban": 1, "phone": 2}
    assert set(found.kinds) == set(KIND_IDS)
    assert found.categories["bank-account"] == 1
    email = found.columns["note", "email"]
    assert (email.records, email.occurrences) == (2, 3)
    assert (found.digests, found.distinct) == ({}, {})


def test_no_value_is_in_the_result() -> None:
    text = canonical_json(scan_personal_data([TABLE], key=KEY).to_json()).decode()
    for value in ("example.org", "DE89370400440532013000", "7946"):
        assert value not in text


def test_the_holder_of_the_key_recognises_a_value() -> None:
    found = scan_personal_data([TABLE], key=KEY)
    mine = hmac.new(KEY, b"phone\0" + b"442079460958", hashlib.sha256).hexdigest()[:32]
    assert found.digests["phone"] == (mine,)
    assert found.distinct == {"email": 2, "iban": 1, "phone": 1}
    other = scan_personal_data([TABLE], key=KEY[::-1])
    assert set(other.digests["email"]).isdisjoint(found.digests["email"])


def test_a_value_written_in_two_ways_has_one_digest() -> None:
    written = ["4111 1111 1111 1111", "4111-1111-1111-1111", "4111111111111111"]
    found = scan_personal_data([pa.table({"c": written})], key=KEY)
    assert found.columns["c", "payment-card"].records == 3
    assert found.distinct == {"payment-card": 1}


@given(st.lists(st.integers(0, 8), max_size=4))
def test_any_split_into_batches_gives_the_same_counts(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), 8]
    parts = [TABLE.slice(a, b - a) for a, b in itertools.pairwise(places)]
    assert scan_personal_data(parts, key=KEY) == scan_personal_data([TABLE], key=KEY)


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())],
)
def test_the_type_of_the_text_does_not_matter(kind: Any) -> None:
    column = pa.array(TEXTS, pa.string())
    cast = column.dictionary_encode() if pa.types.is_dictionary(kind) else column.cast(kind)
    (batch,) = pa.table({"note": cast}).to_batches()
    expected = find(pa.array(TEXTS), Search.of(KIND_IDS))
    found = find(batch.column("note"), Search.of(KIND_IDS))
    assert found.rows.tolist() == expected.rows.tolist() == [0, 0, 4, 5, 6, 7]
    assert found.kinds.tolist() == expected.kinds.tolist()


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.int32(), pa.int8()])
def test_whole_numbers_are_read_as_they_are_written(kind: Any) -> None:
    wide = kind.bit_width == 64
    values = [2_127_365_000 if kind.bit_width > 31 else 7, None, 3]
    values[0] = 4_111_111_111_111_111 if wide else min(values[0] or 0, 2_127_365_000)
    if kind == pa.int32():
        values[0] = 2_127_365_000
    numbers = pa.table({"phone": pa.array(values, kind)})
    found = scan_personal_data([numbers])
    expected = {"payment-card": 1} if wide else {"phone": 1} if kind == pa.int32() else {}
    assert {k: n for k, n in found.kinds.items() if n} == expected
    assert find(numbers["phone"].combine_chunks(), Search.of(KIND_IDS)).rows.size == int(wide)


PLANTED = (
    "naïve: zoe.x@example.org, tel +44 20 7946 0958; 4111 1111 1111 1111 ghp_" + "aB3dE5gH7" * 4
)


@settings(max_examples=20)
@given(st.integers(0, 400), st.integers(1, 12), st.integers(300, 700))
def test_a_match_across_the_border_of_two_parts_is_found_once(
    shift: int, times: int, chunk: int
) -> None:
    """Long values are read in parts; these are as small as the overlap allows."""
    text = "word " * shift + (PLANTED + " and so on. ") * times
    whole = [(m.start, m.kind) for m in matches(text.encode(), Search.of(KIND_IDS))]
    assert len(whole) == 4 * times
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "_CHUNK", chunk)
        patch.setattr(scan, "_OVERLAP", 320)
        found = find(pa.array([text]), Search.of(KIND_IDS))
        many = find(pa.array(["", text, "a@example.org", text]), Search.of(KIND_IDS))
    assert found.kinds.tolist() == [kind for _, kind in whole]
    assert many.rows.tolist() == [1] * len(whole) + [2] + [3] * len(whole)


@given(st.lists(st.text(max_size=60), max_size=12), st.integers(1, 5))
def test_records_do_not_run_together(texts: list[str], bits: int) -> None:
    """Records are found as if each were scanned alone, whatever stands in the next one."""
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    texts = [t + " a@example.org" * (i % bits == 0) for i, t in enumerate(texts)]
    search = Search.of(KIND_IDS)
    together = find(pa.array(texts, pa.string()), search)
    alone = [(i, m.kind) for i, t in enumerate(texts) for m in matches(t.encode(), search)]
    assert list(zip(together.rows.tolist(), together.kinds.tolist(), strict=True)) == alone


@given(
    st.text("0123456789 .-/()+@:aAbBXxeyJ_=\0#é", max_size=200).map(
        lambda text: text.encode("utf-8", "replace")
    )
)
def test_any_text_gives_matches_in_order_that_do_not_overlap(text: bytes) -> None:
    found = matches(text, Search.of(KIND_IDS, column="phone bsn"))
    for one, next_one in itertools.pairwise(found):
        assert one.end <= next_one.start
    for match in found:
        assert b"\0" not in text[match.start : match.end]


HOSTILE = [
    "a", "1", "@", ".", "-", "+", "(", " ", "a@", "a.", "a@a.", "1.", "1 ", "1-", "+1", "(2", "12:",
    "aa:", "::", "eyJ", "eyJ.", "-eyJaaaaaaaa.", "ghp_", "sk-", "=", "key=", "A1", "AB1", "1A2b",
    "DE89", "DE89 ", "-----BEGIN ", "-----BEGIN A", "secret", "token:", "phone 1", "0/", "&#1;",
    "a!b", "a@a-", "1.1.1.", "aaaaaaaaaaaaaaaa ", "12 34 56 ", "RSSMRA85T", "\0",
]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_repetitions_end(unit: str) -> None:
    """A pattern that backtracks does not come back from 60 kB of what it nearly matches."""
    text = unit * (60_000 // len(unit))
    found = find(pa.array([text, text + "!"]), Search.of(KIND_IDS, column="phone ssn bsn"))
    assert found.rows.size == found.kinds.size


def test_more_values_than_are_kept_are_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "_KEPT", 1_000)
    texts = [f"user{i}@example.org" for i in range(20_000)]
    found = scan_personal_data([pa.table({"m": texts})] * 2, key=KEY)
    assert len(found.digests["email"]) == 1_000
    # The relative error of k = 1,000 smallest is about 1/√k: five of them are never reached.
    assert abs(found.distinct["email"] / 20_000 - 1) < 5 / np.sqrt(1_000)
    everyone = sorted(
        hmac.new(KEY, b"email\0" + t.encode(), hashlib.sha256).hexdigest()[:32] for t in texts
    )
    assert list(found.digests["email"]) == everyone[:1_000]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"columns": ["nota"]}, "no column 'nota'; did you mean 'note'"),
        ({"columns": ["x"]}, "column 'x' holds double; a column of text or of whole numbers"),
        ({"kinds": ["mail"]}, "no kind of personal data 'mail'"),
        ({"key": b"short"}, "the key has 5 bytes; 16 bytes and more"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        scan_personal_data([TABLE], **arguments)


def test_a_table_without_rows_or_text_has_nothing() -> None:
    assert scan_personal_data([]).records == 0
    assert scan_personal_data([TABLE.slice(0, 0)], key=KEY).affected == 0
    assert scan_personal_data([TABLE.select(["x"])]).records == 8


@pytest.mark.parametrize("column", ["question", "answer"])
def test_problems_of_arithmetic_hold_no_personal_data(column: str, shared_data: Any) -> None:
    import pandas as pd

    frame = pd.read_json(shared_data / "contamination/gsm8k_train.jsonl.gz", lines=True)
    found = scan_personal_data([pa.Table.from_pandas(frame[[column]])])
    assert (found.records, found.affected) == (7_473, 0)


def test_the_telephone_numbers_in_tweets_are_found(shared_data: Any) -> None:
    """Against a plain search for North American numbers; handles were masked to @USER."""
    import pandas as pd

    frame = pd.read_csv(shared_data / "text/tweets_hate_offensive.csv.gz")
    text = frame["tweet"].astype(str)
    plain = text.str.contains(r"(?<![\d#])\(?[2-9]\d\d[).-] ?[2-9]\d\d[ .-]\d{4}(?!\d)", regex=True)
    (column,) = [pa.array(text.tolist(), pa.string())]
    found = find(column, Search.of(["phone"]))
    assert int(plain.sum()) > 0
    assert set(np.flatnonzero(plain)) <= set(found.rows.tolist())
