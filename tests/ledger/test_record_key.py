"""The key of a run, its buckets, and the commitments made with it."""

from __future__ import annotations

import hashlib
import hmac
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.ledger import tree_root
from auditor.ledger.commitments import commit_records
from auditor.ledger.record_key import (
    BUCKETS,
    RecordKey,
    bucket_bytes,
    bucket_leaf,
    bucket_of,
    record_key_file,
)
from auditor.ledger.sorted_tree import SortedTree
from auditor.ledger.tree import root_from_path

SECRET = bytes(range(32))
ids = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@pytest.fixture(scope="module")
def key() -> RecordKey:
    return RecordKey(SECRET)


def defined(split: str, record: str) -> bytes:
    """The definition in the module's docstring, with the library's HMAC."""
    bucket = hashlib.sha256(b"auditor/record-bucket/v1\n" + record.encode()).digest()[:2]
    secret = hmac.new(SECRET, b"auditor/record-bucket-key/v1\n" + bucket, "sha256").digest()
    message = b"auditor/record/v1\n" + split.encode() + b"\n" + record.encode()
    return hmac.new(secret, message, "sha256").digest()


@given(st.lists(ids, unique=True, max_size=60))
def test_commitments_are_those_of_the_definition_sorted(key: RecordKey, records: list[str]) -> None:
    committed = commit_records(records, key, split="train")
    expected = [defined("train", record) for record in records]
    assert [bytes(leaf) for leaf in committed.leaves] == sorted(expected)
    assert [bytes(committed.leaves[place]) for place in committed.places] == expected
    assert [key.commitment("train", record) for record in records] == expected
    body = committed.body()
    assert body["root"] == f"sha256:{tree_root(sorted(expected)).hex()}"
    assert body["count"] == len(records)


@given(ids)
def test_a_key_opens_under_the_root_in_its_own_bucket_only(key: RecordKey, record: str) -> None:
    bucket = bucket_of(record)
    assert bucket_bytes([record]) == bucket.to_bytes(2, "big")
    path = key.bucket_path(bucket)

    def root(secret: bytes, at: int) -> bytes | None:
        return root_from_path(bucket_leaf(secret), index=at, size=BUCKETS, path=path)

    assert f"sha256:{root(key.bucket_key(bucket), bucket).hex()}" == key.root
    assert root(key.bucket_key(bucket), bucket ^ 1) != root(key.bucket_key(bucket), bucket)
    assert root(bytes(32), bucket) != root(key.bucket_key(bucket), bucket)


def test_the_splits_and_keys_of_an_id_have_nothing_in_common(key: RecordKey) -> None:
    other = RecordKey(bytes(32))
    found = {k.commitment(split, "7") for k in (key, other) for split in ("train", "test")}
    assert len(found) == 4
    assert other.root != key.root


def test_the_format_stays_what_it_was(key: RecordKey) -> None:
    """Runs that were recorded must stay provable: another value here needs another version."""
    assert key.root == "sha256:58c39b234cae268cafc02bfa601d8a43c895eded23b3be41e435f432e87df72a"
    assert bucket_of("17") == 4_679
    assert key.commitment("train", "17") == defined("train", "17")


def test_repeated_ids_are_refused(key: RecordKey) -> None:
    with pytest.raises(InputError, match="record ids repeat: 2 of 5"):
        commit_records(["a", "b", "a", "c", "a"], key, split="train")


@pytest.mark.parametrize("split", ["", "../x", "Train", "a b", "a\n", "-a", "a" * 65])
def test_a_split_that_cannot_name_a_file_is_refused(key: RecordKey, split: str) -> None:
    with pytest.raises(InputError, match="cannot name a split"):
        commit_records(["a"], key, split=split)


def test_the_secret_is_not_printed(key: RecordKey) -> None:
    assert SECRET.hex() not in repr(key)
    assert repr(SECRET) not in repr(key)


def test_a_key_is_kept_outside_the_run_and_read_back(tmp_path: Path, key: RecordKey) -> None:
    run = tmp_path / "credit-7"
    run.mkdir()
    path = key.save(record_key_file(run), run=run)
    assert path == tmp_path / "credit-7.record-key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert RecordKey.load(path).bucket_key(5) == key.bucket_key(5)
    with pytest.raises(InputError, match="there is a file already"):
        key.save(path, run=run)
    for inside in (run / "x.record-key", run / "new/x", run / "../credit-7/x"):
        with pytest.raises(InputError, match="inside the run folder"):
            key.save(inside, run=run)
    (tmp_path / "link").symlink_to(run)
    with pytest.raises(InputError, match="inside the run folder"):
        key.save(tmp_path / "link/x", run=run)
    assert list(run.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"auditor/record-key/v1 " + b"0" * 63 + b"\n", b"\xff" * 70,
     b"auditor/record-key/v1 " + b"A" * 64 + b"\n", b"auditor/record-key/v1 " + b"0" * 64],
)  # fmt: skip
def test_a_file_that_is_no_record_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(InputError, match="not a record key"):
        RecordKey.load(tmp_path / "key")


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(InputError, match="32 bytes, not 16"):
        RecordKey(bytes(16))


def test_two_new_keys_differ() -> None:
    assert RecordKey.generate().bucket_key(0) != RecordKey.generate().bucket_key(0)


@given(st.sets(st.binary(min_size=32, max_size=32), max_size=40), st.data())
def test_a_sorted_tree_is_the_tree_of_its_leaves(leaves: set[bytes], data: st.DataObject) -> None:
    ordered = sorted(leaves)
    tree = SortedTree(b"".join(ordered))
    assert list(tree) == ordered
    assert tree.root() == tree_root(ordered)
    assert tree.first_disorder() is None
    asked = data.draw(st.binary(min_size=32, max_size=32) | st.sampled_from([*ordered, bytes(32)]))
    assert tree.holds(asked) == (asked in leaves)


@given(st.lists(st.sampled_from([bytes(31) + bytes([n]) for n in range(6)]), max_size=8))
def test_the_first_leaf_out_of_order_is_found(leaves: list[bytes]) -> None:
    expected = next((at for at, (a, b) in enumerate(pairwise(leaves), 1) if a >= b), None)
    assert SortedTree(b"".join(leaves)).first_disorder() == expected


@pytest.mark.parametrize("size", [4_095, 4_096, 4_097, 12_289])
def test_the_tree_of_many_leaves_is_built_in_blocks(size: int) -> None:
    leaves = np.random.default_rng(0).bytes(32 * size)
    tree = SortedTree(leaves)
    assert tree.root() == tree_root(list(tree))
    for index in (0, 4_094, size - 1):
        from auditor.ledger import leaf_hash

        path = tree.path(index)
        found = root_from_path(leaf_hash(tree[index]), index=index, size=size, path=path)
        assert found == tree.root()
    with pytest.raises(IndexError):
        tree.path(size)


def test_half_a_leaf_is_refused() -> None:
    with pytest.raises(InputError, match="no whole number of leaves"):
        SortedTree(bytes(33))
