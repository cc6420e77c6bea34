from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from auditor import documents as document
from auditor.documents import MOST_BYTES, read_document
from auditor.errors import PolicyError

BOMB = b"a: &a [x, x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (letter, letter, b", ".join([b"*%c" % (letter - 1)] * 10))
    for letter in range(ord("b"), ord("i"))
)


@pytest.fixture(params=["libyaml", "pure"], autouse=True, scope="module")
def _loader(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param == "libyaml" and not hasattr(yaml, "CSafeLoader"):
        pytest.skip("PyYAML without libyaml")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "pure":
            patch.setattr(document, "_LOADER", yaml.SafeLoader)
        yield


@pytest.mark.parametrize(
    ("data", "place", "words"),
    [
        (b"", "1:1", "empty"),
        (b"# only a comment\n", "1:1", "empty"),
        (b"a: 1\nb: 2\na: 3\n", "3:1", "the key 'a' stands in line 1 already"),
        (b"a:\n\t- x\n", "2:1", "a tab is used to indent"),
        (b"a: 1\n  b: 2\n", "2:4", "not YAML"),
        (b"a: [1, 2\n", "2:1", "not YAML"),
        (BOMB, "5:20", "an alias bomb"),
        (b"a: &a [*a]\n", "1:8", "inside its own anchor"),
        (b"a: *b\n", "1:4", "has no anchor before it"),
        (b"a: !!python/object/apply:os.system [ls]\n", "1:4", "tag"),
        (b"a: !secret b\n", "1:4", "tag"),
        (b"a: b\nc: \xff\n", "2:4", "not UTF-8"),
        (b"a: b\nc: \x07\n", "2:4", "U+0007"),
        (b"a: 1\n---\nb: 2\n", "2:1", "second document"),
        (b"[a]: b\n", "1:1", "a key is a list"),
        (b"[" * 1000, "1:34", "deeper than 32 levels"),
        (b"x: {" * 1000, "1:132", "deeper than 32 levels"),
        (b"a: " + b"x" * MOST_BYTES, "1:1", "bytes"),
        (b"- x\n" * 60_000, "50000:3", "more than 50,000 values"),
    ],
)
def test_what_is_refused_says_where(data: bytes, place: str, words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        read_document(data, where="p.yaml")
    assert words in caught.value.what
    line, column = (int(part) for part in str(caught.value.where).split(":")[1:])
    expected = tuple(int(part) for part in place.split(":"))
    # The two parsers point at the same line, and a character or two apart within it.
    assert line == expected[0]
    assert abs(column - expected[1]) <= 1 or "YAML" in words


def test_scalars_stay_the_text_of_the_file() -> None:
    data = b"version: 1.10\ncountry: NO\nday: 2026-11-01\nnone: ~\nquoted: 'null'\nempty:\n"
    assert read_document(data, where="p").text() == {
        "version": "1.10", "country": "NO", "day": "2026-11-01", "none": None, "quoted": "null",
        "empty": None,
    }  # fmt: skip


def test_native_values_are_those_of_json() -> None:
    data = b"{i: 3, f: -0.5, e: 1e3, t: true, y: yes, s: '3', n: null, l: [1, x], big: 1e999}"
    assert read_document(data, where="p").native() == {
        "i": 3, "f": -0.5, "e": 1000.0, "t": True, "y": "yes", "s": "3", "n": None, "l": [1, "x"],
        "big": "1e999",
    }  # fmt: skip


def test_an_alias_repeats_its_anchor() -> None:
    data = b"a: &x {k: [1, 2]}\nb: *x\n"
    assert read_document(data, where="p").text() == {"a": {"k": ["1", "2"]}, "b": {"k": ["1", "2"]}}


def test_columns_count_characters_behind_a_byte_order_mark() -> None:
    root = read_document("\ufeffgrüße: {ä: 1}\n".encode(), where="p")
    node = root.at(["grüße", "ä"])
    assert (node.line, node.column) == (1, 12)


def test_windows_line_ends_count_once() -> None:
    root = read_document(b"a: 1\r\nb: 2\r\n", where="p")
    assert root.at(["b"]).line == 2


def place(data: bytes) -> str:
    """Return where the document begins, or where it was refused."""
    try:
        root = read_document(data, where="p.yaml")
    except PolicyError as error:
        return str(error.where)
    return f"p.yaml:{root.line}:{root.column}"


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode(errors="replace")))
def test_any_bytes_are_read_or_refused_with_a_place(data: bytes) -> None:
    assert re.fullmatch(r"p\.yaml:\d+:\d+", place(data))


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#\t \n,?%@`", max_size=60))
def test_any_punctuation_is_read_or_refused_with_a_place(text: str) -> None:
    assert re.fullmatch(r"p\.yaml:\d+:\d+", place(text.encode()))
