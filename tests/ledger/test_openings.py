"""Rows of a document can be withheld one by one; nothing that is shown can be altered."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import RunError
from auditor.evidence import canonical_json, sha256
from auditor.ledger.openings import (
    MOST_ROWS,
    commit_document,
    parts_of,
    read_redacted,
    redacted_document,
)

SEED = bytes(range(32))
NAME = "evidence/" + "0" * 64 + ".json"
DOCUMENT = {"schema": "auditor/statistic/v1", "rows": [[0, 5, 7], [1, 2, 0], [3, 1, 1]]}
DIGEST = sha256(canonical_json(DOCUMENT))


def committed(document: Any = DOCUMENT, name: str = NAME) -> dict[str, Any]:
    found = commit_document(name, document, SEED)
    assert found is not None
    return found


def redacted(*shown: int) -> dict[str, Any]:
    return redacted_document(NAME, DIGEST, DOCUMENT, SEED, lambda place, _: place in shown)


def test_the_root_is_that_of_the_salted_leaves_by_hand() -> None:
    document = {"schema": "auditor/statistic/v1", "rows": [[0, 5]]}

    def leaf(place: int, content: bytes) -> bytes:
        message = NAME.encode() + b"\0" + place.to_bytes(8, "big")
        salt = hmac.new(SEED, message, hashlib.sha256).digest()[:16]
        return hashlib.sha256(b"\0" + salt + content).digest()

    left, right = leaf(0, b'{"schema":"auditor/statistic/v1"}'), leaf(1, b"[0,5]")
    root = hashlib.sha256(b"\1" + left + right).hexdigest()
    assert committed(document) == {"rows": 1, "root": f"sha256:{root}"}


@given(st.sets(st.integers(0, 2)))
def test_any_choice_of_rows_has_the_same_root(shown: set[int]) -> None:
    made = json.loads(canonical_json(redacted(*shown)))
    found = read_redacted(made, committed(), where="here")
    assert found.rows == {i: DOCUMENT["rows"][i] for i in shown}
    assert found.withheld == 3 - len(shown)
    assert found.around == {"schema": "auditor/statistic/v1"}


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r["rows"][0]["row"].__setitem__(1, 6),
        lambda r: r["rows"].reverse(),
        lambda r: r["rows"].pop(),
        lambda r: r["rows"].append(r["rows"][1]),
        lambda r: r["rows"][1].__setitem__("hash", "0" * 64),
        lambda r: r["rows"][0].__setitem__("salt", "0" * 32),
        lambda r: r["around"].__setitem__("schema", "other"),
        lambda r: r.__setitem__("salt", "0" * 32),
    ],
    ids=["a count", "order", "one less", "one more", "a hash", "a salt", "around", "its salt"],
)
def test_whatever_is_altered_is_found(change: Any) -> None:
    made = copy.deepcopy(redacted(0, 2))
    change(made)
    with pytest.raises(RunError, match="not what the ledger committed to"):
        read_redacted(made, committed(), where="here")


@given(
    st.recursive(
        st.none() | st.integers(-5, 5) | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["schema", "document", "digest", "salt", "around", "rows", "hash"]),
                inner,
            )
        ),
        max_leaves=12,
    )
)
def test_what_is_no_redacted_document_is_one_clear_error(given_: Any) -> None:
    with pytest.raises(RunError, match=r"redacted document|committed to"):
        read_redacted(given_, committed(), where="here")


def test_a_withheld_count_cannot_be_found_by_trying() -> None:
    """Without the salt, the hash of a row of one digit says nothing about it."""
    hidden = redacted(0)["rows"][1]["hash"]
    tried = {
        hashlib.sha256(b"\0" + canonical_json([1, a, b])).hexdigest()
        for a in range(10)
        for b in range(10)
    }
    assert hidden not in tried


def test_a_verdict_shows_the_status_of_a_rule_without_the_rule() -> None:
    rules = [{"id": "parity", "status": "fail", "reason": "3 of 4"}]
    parts = parts_of("verdict.json", {"status": "fail", "rules": rules})
    assert parts == ({"status": "fail"}, [{"id": "parity", "status": "fail"}, rules[0]])


def test_a_document_without_rows_or_with_too_many_is_bound_as_a_whole() -> None:
    assert commit_document("run.json", {"rows": [[0, 1]]}, SEED) is None
    assert commit_document(NAME, {"schema": "x"}, SEED) is None
    assert commit_document(NAME, [1], SEED) is None
    assert commit_document(NAME, {"rows": [[0]] * (MOST_ROWS + 1)}, SEED) is None
    with pytest.raises(RunError, match="no rows to withhold"):
        redacted_document("run.json", DIGEST, {"a": 1}, SEED, lambda *_: True)
