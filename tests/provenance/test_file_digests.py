from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import blake3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.ledger.tree import tree_root
from auditor.provenance import file_digests, shards
from auditor.provenance.digest_cache import DigestCache, default_cache, file_identity
from auditor.provenance.file_digests import file_digest
from auditor.provenance.record_tree import inclusion_path, root_from_path
from auditor.provenance.shards import ShardedDigest, sharded_digest, verify_shard

CONTENT = bytes(range(256)) * 20_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data.bin"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def later() -> Callable[[], int]:
    """A clock at which every file of today is old."""
    return lambda: 2**62


@pytest.fixture
def cache(tmp_path: Path, later: Callable[[], int]) -> DigestCache:
    return DigestCache(tmp_path / "cache" / "digests.sqlite", clock=later)


def test_a_file_is_hashed_by_the_method_that_is_asked_for(file: Path) -> None:
    assert file_digest(file) == "blake3:" + blake3.blake3(CONTENT).hexdigest()
    assert file_digest(file, method="sha256") == "sha256:" + hashlib.sha256(CONTENT).hexdigest()
    whole = sharded_digest(file, shard=1_000_000)
    assert file_digest(file, method="sha256-sharded-1000000") == whole.digest
    assert whole.digest.startswith("sha256-sharded-1000000:")


@pytest.mark.parametrize("method", ["md5", "sha256-sharded-0", "sha256-sharded-", "sha256-1", ""])
def test_an_unknown_method_is_refused(method: str, file: Path) -> None:
    with pytest.raises(InputError, match="no digest method .*; blake3, sha256, sha256-sharded-"):
        file_digest(file, method=method)


@given(st.binary(max_size=40), st.integers(1, 50), st.integers(1, 3))
def test_shards_are_bound_as_documented(content: bytes, shard: int, threads: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f"
        path.write_bytes(content)
        found = sharded_digest(path, shard=shard, threads=threads)
    parts = [content[at : at + shard] for at in range(0, len(content), shard)]
    digests = [hashlib.sha256(part).digest() for part in parts]
    assert found.shards == tuple(digests)
    head = b'{"bytes":%d,"method":"sha256-sharded-%d","name":"f"}' % (len(content), shard)
    assert found.digest == f"sha256-sharded-{shard}:{tree_root([head, *digests]).hex()}"
    for index, part in enumerate(parts):
        assert verify_shard(found, index, part)
        assert not verify_shard(found, index, part + b"x")
        assert not verify_shard(found, index, bytes([part[0] ^ 1]) + part[1:])


def test_one_shard_is_proved_in_without_the_others(file: Path) -> None:
    found = sharded_digest(file, shard=1 << 20)
    leaves = found.leaves()
    path = inclusion_path(leaves, 3)
    part = CONTENT[2 << 20 : 3 << 20]
    leaf = hashlib.sha256(b"\0" + hashlib.sha256(part).digest()).digest()
    root = root_from_path(leaf, 3, len(leaves), path)
    assert f"{found.method}:{root.hex()}" == found.digest


def test_another_name_or_size_of_shard_is_another_digest(file: Path) -> None:
    one = sharded_digest(file, shard=1 << 20)
    assert one.digest != sharded_digest(file, shard=1 << 20, name="other").digest
    assert one.shards == sharded_digest(file, shard=1 << 20, name="other").shards
    assert one.digest != sharded_digest(file, shard=1 << 19).digest


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda f: sharded_digest(f, shard=0), "a shard of 0 bytes"),
        (lambda f: sharded_digest(f, name="\udcff"), "a name that is no UTF-8"),
        (lambda f: verify_shard(ShardedDigest("f", 3, 9, (b"",)), 1, b""), "no shard 1 among 1"),
        (lambda f: file_digest(f.parent), "the file cannot be read: Is a directory"),
        (lambda f: sharded_digest(f / "x"), "the file cannot be read: Not a directory"),
    ],
)
def test_what_cannot_be_hashed_is_refused(
    action: Callable[[Path], object], message: str, file: Path
) -> None:
    with pytest.raises(InputError, match=message):
        action(file)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a regular file"):
        file_digest(tmp_path / "pipe")


@pytest.mark.parametrize("change", ["longer", "shorter", "elsewhere", "touched"])
@pytest.mark.parametrize("method", ["blake3", "sha256", "sha256-sharded-1000000"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    change: str, method: str, file: Path, cache: DigestCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = shards if "sharded" in method else file_digests
    hashed = module._hashed

    def meddled(*arguments: object) -> object:
        if change == "longer":
            file.write_bytes(CONTENT + b"x")
        elif change == "shorter":
            os.truncate(file, 5)
        elif change == "touched":
            os.utime(file, ns=(1, 1))
        else:
            (file.parent / "new").write_bytes(CONTENT)
            (file.parent / "new").replace(file)
        return hashed(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(module, "_hashed", meddled)
        with pytest.raises(InputError, match=r"data\.bin: the file changed while it was read"):
            file_digest(file, method=method, cache=cache)
    content = file.read_bytes()
    if "sharded" not in method:
        expected = blake3.blake3 if method == "blake3" else hashlib.sha256
        assert file_digest(file, method=method, cache=cache).split(":")[1] == (
            expected(content).hexdigest()
        )
    else:
        assert file_digest(file, method=method, cache=cache) == file_digest(file, method=method)


def count_hashing(monkeypatch: pytest.MonkeyPatch, module: object) -> list[int]:
    calls: list[int] = []
    hashed = module._hashed  # type: ignore[attr-defined]

    def counted(*arguments: object) -> object:
        calls.append(1)
        return hashed(*arguments)

    monkeypatch.setattr(module, "_hashed", counted)
    return calls


def test_a_file_is_hashed_once_until_it_changes(
    file: Path, cache: DigestCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_bytes(bytes(5 << 20))
    calls = count_hashing(monkeypatch, file_digests)
    first = file_digest(file, cache=cache)
    assert file_digest(file, cache=cache) == first
    assert len(calls) == 1
    assert file_digest(file, method="sha256", cache=cache) != first
    assert len(calls) == 2
    file.write_bytes(bytes(5 << 20)[:-1] + b"x")
    assert file_digest(file, cache=cache) != first
    assert len(calls) == 3
    again = DigestCache(cache.path, clock=cache._clock)
    assert file_digest(file, cache=again) != first
    assert len(calls) == 3


def test_a_file_of_the_last_moment_is_not_kept(file: Path, tmp_path: Path) -> None:
    """It may change again within the same tick of the file system's clock."""
    changed = file.stat().st_ctime_ns
    cache = DigestCache(tmp_path / "c.sqlite", clock=lambda: changed + 10**9)
    identity = file_identity(file)
    cache.put(identity, "blake3", bytes(32))
    assert cache.get(identity, "blake3") is None
    old = DigestCache(tmp_path / "c.sqlite", clock=lambda: changed + 3 * 10**9)
    old.put(identity, "blake3", bytes(32))
    assert cache.get(identity, "blake3") == bytes(32)


def test_an_interrupted_run_goes_on_behind_what_is_done(
    file: Path, cache: DigestCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "_BLOCK", 1 << 20)
    expected = sharded_digest(file, shard=1 << 18)
    hashed, left = shards._hashed, [2]

    def interrupted(*arguments: object) -> object:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return hashed(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(shards, "_hashed", interrupted)
        with pytest.raises(KeyboardInterrupt):
            sharded_digest(file, shard=1 << 18, cache=cache)
    calls = count_hashing(monkeypatch, shards)
    assert sharded_digest(file, shard=1 << 18, cache=cache) == expected
    assert len(calls) == -(-len(CONTENT) // (1 << 20)) - 2


@pytest.mark.slow
def test_a_damaged_cache_never_gives_a_wrong_digest(
    file: Path, cache: DigestCache, later: Callable[[], int]
) -> None:
    """Single bits all over the file, truncations, and files that are no database."""
    import random

    identities = [file_identity(file), file_identity(cache.path.parent.parent / "data.bin")]
    cache.put(identities[0], "blake3", bytes(range(32)))
    cache.put(identities[0], "sha256", bytes(32))
    cache.close()
    whole, draw = cache.path.read_bytes(), random.Random(0)
    damaged = [b"", b"no database", whole[:5_000], whole[: len(whole) // 2]]
    for _ in range(400):
        position, bit = draw.randrange(len(whole)), 1 << draw.randrange(8)
        damaged.append(whole[:position] + bytes([whole[position] ^ bit]) + whole[position + 1 :])
    for content in damaged:
        cache.path.write_bytes(content)
        again = DigestCache(cache.path, clock=later)
        assert again.get(identities[0], "blake3") in {None, bytes(range(32))}
        assert again.get(identities[0], "sha256") in {None, bytes(32)}
        again.put(identities[0], "blake3", bytes(range(32)))
        again.close()


def test_a_file_that_is_no_cache_is_left_alone(file: Path, later: Callable[[], int]) -> None:
    own = file.parent / "thesis.txt"
    own.write_text("no database " * 100)
    cache = DigestCache(own, clock=later)
    cache.put(file_identity(file), "blake3", bytes(32))
    assert cache.get(file_identity(file), "blake3") is None
    assert own.read_text() == "no database " * 100


def test_the_cache_lies_where_the_user_says(tmp_path: Path) -> None:
    def path(**environment: str) -> Path | None:
        found = default_cache(environment)
        return None if found is None else found.path

    assert path(AUDITOR_CACHE="off") is None
    assert path(AUDITOR_CACHE=str(tmp_path)) == tmp_path / "digests.sqlite"
    assert path(XDG_CACHE_HOME=str(tmp_path)) == tmp_path / "auditor" / "digests.sqlite"
    assert path() == Path.home() / ".cache" / "auditor" / "digests.sqlite"
    assert not list(tmp_path.iterdir())


def test_a_cache_that_cannot_be_written_is_none(file: Path, later: Callable[[], int]) -> None:
    cache = DigestCache(file / "below" / "c.sqlite", clock=later)
    assert file_digest(file, cache=cache) == file_digest(file)
