from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.licenses import canonicalize_license_expression

from auditor.errors import InputError
from auditor.provenance.licence_terms import GROUPS, USES, known_licences, licence_terms
from auditor.provenance.licences import (
    AllOf,
    AnyOf,
    Licence,
    check_allowed,
    licence_from_text,
    permitted,
    read_expression,
)

IDS = ("MIT", "Apache-2.0", "GPL-3.0-only", "CC-BY-4.0", "CC-BY-NC-4.0", "LicenseRef-ours")


def allowed(text: str, *, licences: Any = (), uses: Any = ()) -> bool | None:
    return permitted(read_expression(text), licences=licences, uses=uses)


def test_and_binds_tighter_than_or() -> None:
    assert read_expression("mit or apache-2.0 and isc") == AnyOf(
        (Licence("MIT"), AllOf((Licence("Apache-2.0"), Licence("ISC"))))
    )
    assert read_expression("(mit or apache-2.0) and isc") == AllOf(
        (AnyOf((Licence("MIT"), Licence("Apache-2.0"))), Licence("ISC"))
    )


def test_versions_exceptions_and_references_are_kept() -> None:
    assert read_expression("apache-2.0+") == Licence("Apache-2.0", or_later=True)
    assert read_expression("GPL-2.0-only WITH classpath-exception-2.0") == Licence(
        "GPL-2.0-only", exception="Classpath-exception-2.0"
    )
    assert read_expression("licenseref-In-House") == Licence("LicenseRef-In-House")
    assert read_expression("MIT AND (MIT)") == Licence("MIT")


@pytest.mark.parametrize(
    "text",
    ["", "MIT AND", "(MIT", "MIT)", "MIT Apache-2.0", "AND", "proprietary", "MIT WITH nothing",
     "MIT OR OR ISC", "()", "MIT/ISC", "LicenseRef-a b", "MIT\x00", "(" * 200 + "MIT" + ")" * 200,
     "MIT OR " * 500 + "MIT", "WITH MIT", "NOT MIT", "MIT; import os"],
)  # fmt: skip
def test_what_is_no_expression_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match="licence") as refused:
        read_expression(text, where="sources.yaml")
    assert str(refused.value).startswith("sources.yaml: ")
    assert "\n" not in str(refused.value)


def expressions() -> st.SearchStrategy[str]:
    return st.recursive(
        st.sampled_from(IDS),
        lambda inner: st.builds(
            lambda parts, word: "(" + f" {word} ".join(parts) + ")",
            st.lists(inner, min_size=2, max_size=3), st.sampled_from(["AND", "OR"]),
        ),
        max_leaves=6,
    )  # fmt: skip


@given(expressions())
def test_what_is_written_reads_back_as_the_same(text: str) -> None:
    read = read_expression(text)
    assert read_expression(str(read)) == read
    assert str(canonicalize_license_expression(str(read))) == str(read)


@given(expressions(), st.sets(st.sampled_from(IDS[:-1])))
def test_with_ids_alone_it_is_pythons_own_logic(text: str, listed: set[str]) -> None:
    """With every licence known to be listed or not, AND and OR are those of Python."""
    names = {name: name in listed for name in IDS}
    program = text.replace("AND", "and").replace("OR", "or")
    for name in sorted(names, key=len, reverse=True):
        program = program.replace(name, str(names[name]))
    expected = eval(program) if listed else True
    assert allowed(text, licences=sorted(listed)) is expected


def test_unknown_follows_kleenes_tables() -> None:
    word = {True: "MIT", False: "CC-BY-NC-4.0", None: "LicenseRef-ours"}
    for left, right in product(word, word):
        both = allowed(f"{word[left]} AND {word[right]}", uses=["commercial"])
        either = allowed(f"{word[left]} OR {word[right]}", uses=["commercial"])
        assert both is (
            False if False in (left, right) else None if None in (left, right) else True
        )
        assert either is (
            True if True in (left, right) else None if None in (left, right) else False
        )


def test_the_branch_chosen_satisfies_licences_and_uses_together() -> None:
    """MIT is commercial and not listed, CC-BY-NC listed and not commercial: neither will do."""
    asked = {"licences": ["CC-BY-NC-4.0"], "uses": ["commercial"]}
    assert allowed("MIT OR CC-BY-NC-4.0", **asked) is False
    assert allowed("MIT OR CC-BY-NC-4.0", licences=["MIT"], uses=["commercial"]) is True


@pytest.mark.parametrize(
    ("listed", "licence", "expected"),
    [
        ("MIT", "ISC", False),
        ("MIT", "MIT", True),
        ("GPL-3.0-only", "GPL-3.0", True),
        ("GPL-3.0-only", "GPL-2.0-or-later", True),
        ("GPL-3.0-or-later", "GPL-2.0-or-later", True),
        ("GPL-2.0-only", "GPL-3.0-or-later", False),
        ("GPL-3.0-or-later", "GPL-3.0-only", False),
        ("Apache-2.0", "Apache-2.0+", True),
        ("Apache-2.0+", "Apache-2.0", False),
        ("LGPL-3.0-only", "GPL-3.0-only", False),
        ("GPL-2.0-only", "GPL-2.0-only WITH Classpath-exception-2.0", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only", False),
        ("CC-BY-4.0", "CC-BY-3.0", False),
        ("LicenseRef-a", "LicenseRef-b", False),
        ("LicenseRef-a", "LicenseRef-a", True),
    ],
)
def test_a_listed_licence_covers_what_may_be_taken_as_it(
    listed: str, licence: str, expected: bool
) -> None:
    assert allowed(licence, licences=[listed]) is expected


@pytest.mark.parametrize(
    ("groups", "licence", "expected"),
    [
        (["permissive"], "CC0-1.0", True),
        (["public-domain"], "CC-BY-4.0", False),
        (["permissive"], "CC-BY-SA-4.0", False),
        (["permissive", "copyleft"], "CC-BY-SA-4.0", True),
        (["copyleft"], "CC-BY-NC-SA-4.0", False),
        (["copyleft", "non-commercial"], "CC-BY-NC-SA-4.0", True),
        (["permissive"], "C-UDA-1.0", None),
        (["permissive"], "LicenseRef-ours", None),
        (["permissive", "LicenseRef-ours"], "LicenseRef-ours", True),
    ],
)
def test_groups_allow_what_has_no_other_limit(
    groups: list[str], licence: str, expected: bool | None
) -> None:
    assert allowed(licence, licences=groups) is expected


def test_every_row_of_the_table_is_an_spdx_id() -> None:
    for identifier in known_licences():
        assert str(canonicalize_license_expression(identifier)) == identifier
        terms = licence_terms(identifier)
        assert terms is not None
        assert terms.groups <= set(GROUPS)
        assert terms.uses <= set(USES)


def test_the_names_of_creative_commons_say_their_terms() -> None:
    """All of SPDX's list that begin with CC-BY, against the words of their names."""
    from packaging.licenses import _spdx

    listed = [item["id"] for item in _spdx.LICENSES.values() if item["id"].startswith("CC-BY")]
    assert len(listed) > 40
    for identifier in listed:
        terms = licence_terms(identifier)
        assert terms is not None, identifier
        words = identifier.split("-")
        assert ("commercial" in terms.uses) is ("NC" not in words)
        assert ("derivatives" in terms.uses) is ("ND" not in words)
        assert ("relicensing" in terms.uses) is not ({"SA", "ND"} & set(words) != set())


def test_what_a_policy_allows_is_checked() -> None:
    check_allowed(["permissive", "mit", "LicenseRef-ours"], ["commercial"])
    with pytest.raises(InputError, match="did you mean 'permissive'"):
        check_allowed(["permisive"], [])
    with pytest.raises(InputError, match="did you mean 'commercial'"):
        check_allowed([], ["comercial"])
    with pytest.raises(InputError, match="more than one licence"):
        check_allowed(["MIT OR ISC"], [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://creativecommons.org/licenses/by/4.0/", "CC-BY-4.0"),
        ("http://www.creativecommons.org/licenses/by-nc-sa/3.0/deed.de", "CC-BY-NC-SA-3.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("https://spdx.org/licenses/ODbL-1.0.html", "ODbL-1.0"),
        ("https://opensource.org/licenses/MIT", "MIT"),
        ("https://www.apache.org/licenses/LICENSE-2.0", "Apache-2.0"),
        ("https://opendatacommons.org/licenses/pddl/1-0/", "PDDL-1.0"),
        ("mit OR apache-2.0", "MIT OR Apache-2.0"),
        ("https://example.org/licence", None),
        ("unknown", None),
        ("", None),
    ],
)
def test_addresses_of_licences_are_known(text: str, expected: str | None) -> None:
    assert licence_from_text(text) == expected


@given(st.text(max_size=60))
def test_any_text_is_a_licence_or_unknown(text: str) -> None:
    found = licence_from_text(text)
    assert found is None or str(read_expression(found)) == found
