"""Two documents say the same, numbers up to the last bits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.verify.compare import first_difference

documents = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1e9, 1e9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)


@given(documents)
def test_a_document_is_the_same_as_itself(document: Any) -> None:
    assert first_difference(document, document) is None


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        ({"a": 1}, {}, "a: recorded 1, not computed again"),
        ({}, {"a": 1}, "a: not recorded, computed again 1"),
        ({"a": [1, 2]}, {"a": [1]}, "a: recorded 2, computed again 1"),
        ({"a": [{"b": 1.0}]}, {"a": [{"b": 1.001}]}, "a[0].b: recorded 1.0, computed again 1.001"),
        (True, 1, ": recorded True, computed again 1"),
        (None, 0, ": recorded None, computed again 0"),
        ("a", "b", ": recorded 'a', computed again 'b'"),
    ],
)
def test_the_first_difference_is_named(ours: Any, theirs: Any, message: str) -> None:
    assert first_difference(ours, theirs) == message


def test_last_bits_do_not_matter() -> None:
    assert first_difference([0.1 + 0.2], [0.3]) is None
    assert first_difference([1e-14], [0.0]) is None
    assert first_difference([1.0], [1.00000001]) is not None
