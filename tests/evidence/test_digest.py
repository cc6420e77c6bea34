from __future__ import annotations

import hashlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.evidence import canonical_json, sha256

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
