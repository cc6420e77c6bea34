from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.provenance.declarations import read_json_text, read_yaml
from auditor.provenance.sources import (
    Period,
    Source,
    given_sources,
    read_sources,
    sources_body,
    sources_from_body,
)

FILE = """\
schema: auditor/sources/v1
sources:
  - name: Adult
    licence: cc-by-4.0
    origin: https://archive.ics.uci.edu/dataset/2/adult
    collected: {from: 1994, to: 1994-12-31}
    consent: unknown
    synthetic: false
    personal: true
    special_categories: [racial-or-ethnic-origin]
    languages: en
    rows: 48842
    used_for: [train, test]
  - name: Paraphrases
    licence: LicenseRef-in-house OR MIT
    consent: none-needed
    synthetic: true
    generator: a language model
    opt_outs: {honoured: true, how: robots.txt}
    personal: false
    rows: 100
    tokens: 2500
"""


def source(**fields: Any) -> Source:
    return Source.from_json({"name": "s"} | fields)


def test_a_file_of_sources_is_read(tmp_path: Path) -> None:
    (tmp_path / "sources.yaml").write_text(FILE)
    adult, paraphrases = read_sources(tmp_path / "sources.yaml")
    assert adult.licence == "CC-BY-4.0"
    assert adult.collected == Period(start="1994", end="1994-12-31")
    assert adult.consent is None
    assert adult.languages == ("en",)
    assert paraphrases.consent == ("none-needed",)
    assert paraphrases.opt_outs is not None
    assert paraphrases.opt_outs.honoured


def test_unknown_is_kept_as_unknown() -> None:
    bare = source()
    assert bare.to_json() == {"name": "s"}
    assert all(getattr(bare, field) is None for field in Source.model_fields if field != "name")
    said = {field: "unknown" for field in Source.model_fields if field != "name"}
    assert source(**said) == bare
    assert source(name="unknown").name == "unknown"
    assert source(special_categories=[]).special_categories == ()


def test_what_is_written_reads_back_as_the_same(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(FILE)
    sources = read_sources(tmp_path / "s.yaml")
    body = json.loads(json.dumps(sources_body(sources)))
    assert sources_from_body(body, where="ledger") == sources
    (tmp_path / "s.json").write_text(json.dumps({"schema": "auditor/sources/v1"} | body))
    assert read_sources(tmp_path / "s.json") == sources


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("- a", "expected a mapping"),
        ("schema: auditor/sources/v2\nsources: []", "'auditor/sources/v2' is not known"),
        ("schema: auditor/sources/v1", "there is no list of sources"),
        ("schema: auditor/sources/v1\nsource: []", "did you mean 'sources'"),
        ("schema: auditor/sources/v1\nsources: [{name: a, license: MIT}]",
         "did you mean 'licence'"),
        ("schema: auditor/sources/v1\nsources: [{name: a, collected: {form: 1994}}]",
         "source 1, collected: unknown key 'form'; did you mean 'from'"),
        ("schema: auditor/sources/v1\nsources: [{licence: MIT}]", "source 1: 'name' is missing"),
        ("schema: auditor/sources/v1\nsources: [{name: a}, {name: a}]", "two sources are called"),
        ("schema: auditor/sources/v1\nsources: [{name: a, licence: Mine}]", "Unknown license"),
        ("schema: auditor/sources/v1\nsources: [{name: a, rows: -1}]", "rows"),
        ("schema: auditor/sources/v1\nsources: [{name: a, consent: asked}]", "consent"),
        ("schema: auditor/sources/v1\nsources: &a [*a]", "stands inside its own anchor"),
        ("schema: !!python/object/apply:os.system [ls]", "the tag"),
        ("schema: x\nschema: y", "the key 'schema' stands in line 1 already"),
        ("a: [" * 40, "nested deeper than 32 levels"),
        ("a: \tb\n\t- c", "not YAML"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_says_why_in_one_line(
    text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "sources.yaml").write_text(text)
    with pytest.raises(InputError, match=message.replace("(", r"\(")) as refused:
        read_sources(tmp_path / "sources.yaml")
    assert "\n" not in str(refused.value)


def test_large_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "large.yaml").write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(InputError, match="larger than 1,048,576 bytes"):
        read_sources(tmp_path / "large.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        read_sources(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"generator": "g"}, "not said to be synthetic"),
        ({"generator": "g", "synthetic": False}, "not said to be synthetic"),
        ({"personal": False, "special_categories": ["health"]}, "are personal data"),
        ({"consent": ["none-needed", "consent"]}, "stands beside another basis"),
        ({"collected": {"from": "1995", "to": "1994-06"}}, "ends before that"),
        ({"collected": {"from": "1994-02-30"}}, "no day of the calendar"),
        ({"collected": {"from": "last year"}}, "no year, month or day"),
        ({"digest": "blake3:xyz"}, "digest"),
        ({"languages": ["Klingon!"]}, "languages"),
        ({"name": ""}, "name"),
        ({"rows": float("nan")}, "rows"),
    ],
)
def test_contradictions_and_nonsense_are_refused(fields: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        source(**fields)


@pytest.mark.parametrize(
    ("fields", "lawful"),
    [
        ({}, None),
        ({"personal": False}, True),
        ({"personal": True}, None),
        ({"consent": []}, False),
        ({"consent": ["none-needed"]}, None),
        ({"personal": True, "consent": ["none-needed"]}, False),
        ({"personal": True, "consent": ["contract"]}, True),
        ({"personal": True, "consent": ["health-care"]}, False),
        ({"consent": ["consent"], "special_categories": ["health"]}, False),
        ({"consent": ["explicit-consent"], "special_categories": ["health"]}, True),
        ({"consent": ["public-task", "public-health"], "special_categories": ["health"]}, True),
        ({"consent": ["public-task"], "special_categories": ["criminal-convictions"]}, True),
    ],
)
def test_a_basis_fits_the_data_it_is_stated_for(fields: Any, lawful: bool | None) -> None:
    assert source(**fields).lawful is lawful


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for reader in (read_yaml, read_json_text):
        try:
            reader(data, where="f")
        except InputError as error:
            assert str(error).startswith("f")  # noqa: PT017 -- either way is right


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from([*Source.model_fields, "from", "how", "x"]), inner,
                      max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
def test_any_json_is_sources_or_refused(document: Any) -> None:
    try:
        sources = sources_from_body({"sources": [document]}, where="entry 3")
    except InputError as error:
        assert str(error).startswith("entry 3")  # noqa: PT017 -- either way is right
    else:
        assert sources_from_body(sources_body(sources), where="again") == sources


PLAIN = st.text(alphabet="abé:#'\"\\- \n\t{}[],&*!|>%@", max_size=6)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**17), 10**17) | PLAIN,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
        max_leaves=8,
    )
)
def test_json_is_yaml_and_reads_the_same_both_ways(document: Any) -> None:
    text = json.dumps(document).encode()
    assert read_yaml(text, where="f") == document == read_json_text(text, where="f")


def test_json_is_read_strictly() -> None:
    for text, message in (
        (b'{"a": 1, "a": 2}', "'a' occurs twice"), (b"[NaN]", "NaN is no JSON number"),
        (b"[" * 100_000, "nested too deeply|not JSON"), (b"\xff", "not JSON"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            read_json_text(text, where="f")


@pytest.mark.parametrize("given", [5, None, True, {"name": "Adult"}, b"sources.yaml"])
def test_sources_are_a_file_or_a_list(given: Any) -> None:
    with pytest.raises(InputError, match=r"^sources=: sources are no \w+; a file of sources, or a"):
        given_sources(given)
    with pytest.raises(InputError, match="is no path"):
        read_sources(given)


def test_sources_are_given_as_values_or_as_mappings_or_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(FILE)
    read = given_sources(tmp_path / "s.yaml")
    assert read == read_sources(tmp_path / "s.yaml")
    assert given_sources(read) == given_sources([source.to_json() for source in read]) == read
    assert given_sources(()) == ()
    with pytest.raises(InputError, match="^data.sources, source 1: unknown key 'nam'"):
        given_sources([{"nam": "x"}], where="data.sources")
