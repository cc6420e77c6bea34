"""DER: what is written reads back, as another library reads it, and nothing else is accepted."""

from __future__ import annotations

import pytest
from asn1crypto import core
from hypothesis import given
from hypothesis import strategies as st

from auditor.ledger import der


@given(st.integers(0, 2**500))
def test_numbers_are_those_of_asn1crypto(number: int) -> None:
    data = der.integer(number)
    assert core.Integer.load(data, strict=True).native == number
    assert core.Integer(number).dump() == data
    (read,) = der.read_elements(data)
    assert read.number() == number


@given(st.integers(0, 2), st.integers(0, 39), st.lists(st.integers(0, 2**40), max_size=5))
def test_object_identifiers_are_those_of_asn1crypto(
    first: int, second: int, rest: list[int]
) -> None:
    dotted = ".".join(map(str, (first, second, *rest)))
    assert der.object_identifier(dotted) == core.ObjectIdentifier(dotted).dump()


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_sequences_read_back(contents: list[bytes]) -> None:
    data = der.sequence(*map(der.octet_string, contents))
    (whole,) = der.read_elements(data)
    assert whole.encoded == data
    assert [part.content for part in whole.parts(der.SEQUENCE)] == contents


@given(st.binary(max_size=60))
def test_bytes_read_into_elements_that_write_the_same_bytes_or_are_refused(data: bytes) -> None:
    try:
        elements = list(der.read_elements(data))
    except ValueError:
        return
    assert b"".join(der.element(item.tag, item.content) for item in elements) == data


@pytest.mark.parametrize(
    "data", ["30", "3080", "308100", "30810500", "3003aa", "1f8101", "3089", "30820005aabbccddee"]
)
def test_lengths_that_are_not_der_are_refused(data: str) -> None:
    with pytest.raises(ValueError, match=r"cut|length|tag"):
        list(der.read_elements(bytes.fromhex(data)))


@pytest.mark.parametrize("data", ["0200", "0201ff", "02020001", "0401aa", "0241" + "01" * 65])
def test_what_is_no_number_is_refused(data: str) -> None:
    (read,) = der.read_elements(bytes.fromhex(data))
    with pytest.raises(ValueError, match="number"):
        read.number()
    with pytest.raises(ValueError, match="tag"):
        read.parts(der.SEQUENCE)
