from __future__ import annotations

import hashlib
import json
import math

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.evidence import canonical_json, sha256
from auditor.evidence.digest import canonical_parsed, compact_json
from auditor.ledger.encoding import read_canonical, read_json

documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner)
    ),
    max_leaves=8,
)


def test_the_example_of_rfc_8785_comes_out_byte_for_byte() -> None:
    document = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    assert (
        canonical_json(document)
        == (
            '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
            '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
        ).encode()
    )


@given(documents)
def test_what_is_written_reads_back_and_is_written_alike(document: object) -> None:
    def number(text: str) -> float:
        # A whole double from 2^53 is written without a point, and is no integer of JSON.
        return int(text) if abs(int(text)) < 2**53 else float(text)

    written = canonical_json(document)
    assert canonical_json(json.loads(written, parse_int=number)) == written


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), st.none()))
def test_the_order_of_keys_does_not_matter(document: dict[str, None]) -> None:
    assert canonical_json(dict(reversed(document.items()))) == canonical_json(document)


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, 2**53 + 1, "\ud800", {1: 2}, object()]
)
def test_a_value_without_a_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="no canonical JSON form"):
        canonical_json({"v": value})


def test_a_digest_names_its_method() -> None:
    assert sha256(b"abc") == "sha256:" + hashlib.sha256(b"abc").hexdigest()


# The fast way against the reference implementation, at every value where they could differ.

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["1.0,", '":1.0]', "[1e-05,", "€\ud7ff", "\ue000", "\U0001f600", "-0,", "\x7f\u2028", ",1e+16]"]
)
exponents = st.integers(-323, 300).map(lambda exponent: float(f"1.5e{exponent}"))
numbers = (
    st.floats(allow_nan=False, allow_infinity=False) | exponents
    | st.integers(-(2**53) + 1, 2**53 - 1) | st.integers(-(10**6), 10**6).map(float)
    | st.sampled_from([0.0, -0.0, 1e15, 1e16, 1e20, 1e21, 1e-4, 1e-5, 1e-6, 1e-7, 5e-324])
)  # fmt: skip
awkward = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=12,
)  # fmt: skip


@given(awkward)
def test_the_fast_way_writes_what_the_reference_implementation_writes(document: object) -> None:
    assert canonical_json(document) == rfc8785.dumps(document)  # type: ignore[arg-type]


@given(st.lists(numbers, max_size=20))
def test_numbers_are_written_as_the_reference_implementation_writes_them(
    document: list[float],
) -> None:
    fast = compact_json(document)
    assert fast is None or fast.encode() == rfc8785.dumps(document)
    assert canonical_json(document) == rfc8785.dumps(document)


def test_what_a_training_loop_records_goes_the_fast_way() -> None:
    body = {"step": 12, "loss": 3.5e-05, "stage": "pre-deployment", "digest": "sha256:" + "1" * 64}
    assert compact_json({"body": body, "seq": 7, "weight": 1.0, "rate": 1e-7}) is not None


@given(awkward, st.data())
def test_canonical_bytes_are_read_and_no_other_spelling_of_them(
    document: object, data: st.DataObject
) -> None:
    written = rfc8785.dumps(document)  # type: ignore[arg-type]
    assert canonical_json(read_canonical(written)) == written
    at = data.draw(st.integers(0, len(written)))
    more = data.draw(st.sampled_from([b" ", b"0", b".0", b"e0", b"-", b"+", b"\\u0041", b"\t"]))
    other = written[:at] + more + written[at:]
    try:
        found = read_canonical(other)
    except (ValueError, InputError):
        return
    assert rfc8785.dumps(found) == other


@pytest.mark.parametrize(
    "data",
    [b'{"a":1.0}', b'{"a":-0}', b"[-0.0]", b"[1e5]", b"[1E+21]", b"[1e+021]", b"[0.00001e0]",
     b'{"b":1,"a":2}', b'{"a":1,"a":1}', b'["\\u00e9"]', b'["\\/"]', b"[1, 2]", b"[1]\n",
     b"[9007199254740993]", b"[1.50]", b"[1e-05]", b"[100000000000000000000000]",
     '{"\ue000":2,"\U0001f600":1}'.encode()],
)  # fmt: skip
def test_other_spellings_are_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="not in canonical form"):
        read_canonical(data)


def test_nesting_without_end_has_no_canonical_form() -> None:
    document: list[object] = []
    for _ in range(5_000):
        document = [document]
    with pytest.raises(InputError, match="nested too deeply"):
        canonical_json(document)


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=8) | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.sampled_from(["1.0,", "[2e-07]", ":1e+16}", "-0]", "\U0001f600"]),
        lambda inner: st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=4), inner, max_size=4),
        max_leaves=12,
    )
)  # fmt: skip
def test_what_a_parser_gave_is_written_without_being_read_back(document: object) -> None:
    parsed = json.loads(json.dumps(document))
    assert canonical_parsed(parsed) == canonical_json(parsed)


@pytest.mark.parametrize("before", ["", "[", "[0,", '{"a":', "[ ", "[\n", "[\t", "[\r", '{"a": '])
@pytest.mark.parametrize(("number", "expected"), [
    ("9007199254740991", 2**53 - 1), ("9007199254740993", 2.0**53), ("-1000000000000000000", -1e18),
    ("12", 12), ("0.1234567890123456789", 0.1234567890123456789),
])  # fmt: skip
def test_an_integer_that_no_double_holds_is_read_as_a_double_wherever_it_stands(
    before: str, number: str, expected: float
) -> None:
    after = {"[": "]", "{": "}"}.get(before[:1], "")
    found = read_json(f"{before}{number}{after}".encode())
    while isinstance(found, (list, dict)):
        found = list(found.values())[-1] if isinstance(found, dict) else found[-1]
    assert (found, type(found)) == (expected, type(expected))
