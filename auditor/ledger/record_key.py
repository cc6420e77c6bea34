"""The secret under which a run commits to its record ids, opened for one record at a time.

A bare hash of an id can be guessed: whoever knows a list of customers hashes it and compares. So a
record is committed to by HMAC (RFC 2104) under a key that its owner keeps outside the run folder.
A proof must then show that the right key was used, and must not give the key away. Therefore the
key of a run has 65,536 keys below it, one for each *bucket* of ids::

    bucket(id)  = the first 16 bits of SHA-256("auditor/record-bucket/v1\\n" || id)
    K_b         = HMAC-SHA256(K, "auditor/record-bucket-key/v1\\n" || b as two bytes, big-endian)
    c           = HMAC-SHA256(K_b, "auditor/record/v1\\n" || split || "\\n" || id)

and entry 0 of the ledger commits to all of them before the first measurement, by the root of the
tree (RFC 6962) over ``SHA-256("auditor/record-bucket-commitment/v1\\n" || K_b)``. For an id there
is one bucket, for a bucket one key that fits the root, and so one commitment: an owner can neither
open another key to deny a record, nor make one up to claim it. Whoever gets a proof gets one K_b:
he can test guesses at ids of this bucket, 1 of 65,536 ids, in the splits whose commitments he has.
Of the other commitments he learns nothing: HMAC-SHA256 under an unknown key is pseudo-random.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from auditor.errors import InputError
from auditor.ledger.encoding import is_digest
from auditor.ledger.storage import sync_folder, write_all
from auditor.ledger.tree import leaf_hash, level_above
from auditor.ledger.verifying import read_key_file

__all__ = [
    "BUCKETS",
    "BY_CONTENT",
    "RECORD_METHOD",
    "RecordKey",
    "bucket_bytes",
    "bucket_leaf",
    "bucket_of",
    "check_split_name",
    "commitment",
    "encode_record",
    "key_root",
    "record_key_file",
    "record_message",
]

BUCKETS = 65_536
"""The number of keys below the key of a run; a proof opens one of them."""

RECORD_METHOD = "hmac-sha256-buckets-65536"
"""What the ledger says about how records were committed to."""

BY_CONTENT = "content"
"""What a ``records`` entry says, as ``identified_by``, where the ids are digests of the rows."""

_BUCKET = b"auditor/record-bucket/v1\n"
_BUCKET_KEY = b"auditor/record-bucket-key/v1\n"
_BUCKET_LEAF = b"auditor/record-bucket-commitment/v1\n"
_RECORD = b"auditor/record/v1\n"
_FILE = re.compile(rb"auditor/record-key/v1 ([0-9a-f]{64})\n")
_SPLIT = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_VALID = "the file NAME.record-key that was written beside the run folder"


def bucket_of(record: str) -> int:
    """Return the bucket of a record id, which everybody can compute: 0 to 65,535.

    >>> bucket_of("17")
    4679
    """
    return int.from_bytes(bucket_bytes([record]), "big")


def bucket_bytes(records: Iterable[str]) -> bytes:
    """Return the buckets of many ids, two bytes each, big-endian."""
    start = hashlib.sha256(_BUCKET)
    found: list[bytes] = []
    for record in records:
        digest = start.copy()
        digest.update(encode_record(record))
        found.append(digest.digest()[:2])
    return b"".join(found)


def bucket_leaf(key: bytes) -> bytes:
    """Return the hash of a bucket's key as a leaf of the tree to which entry 0 commits."""
    return leaf_hash(hashlib.sha256(_BUCKET_LEAF + key).digest())


def record_message(split: str, record: str) -> bytes:
    """Return what is authenticated for a record of a split."""
    return _RECORD + split.encode() + b"\n" + encode_record(record)


def key_root(entry_0: Mapping[str, Any], records: Mapping[str, Any]) -> str | None:
    """Return the root of the keys that the bodies of entry 0 and of a ``records`` entry commit to.

    Record ids are committed to under the key of entry 0. Records that are identified by content
    are committed to when a training begins, long after it: their entry has the root itself.
    ``None`` where there is no such digest, or both have one.
    """
    given = [body["records_key_root"] for body in (entry_0, records)
             if body.get("records_key_root") is not None]  # fmt: skip
    by_content = records.get("identified_by") == BY_CONTENT
    here = entry_0.get("records_key_root") is None
    if len(given) != 1 or not is_digest(given[0]) or by_content != here:
        return None
    return given[0]


def encode_record(record: str) -> bytes:
    """Return the bytes of a record id; raises :class:`InputError` where it is not Unicode text."""
    try:
        return record.encode()
    except UnicodeEncodeError:
        raise InputError(f"the record id {record[:40]!a} is not Unicode text") from None


def check_split_name(split: str) -> str:
    """Return the name of a split; raises :class:`InputError` where it cannot name a file."""
    if not _SPLIT.fullmatch(split):
        raise InputError(
            f"{split[:80]!r} cannot name a split", valid="a to z, 0 to 9, hyphen, underscore"
        )
    return split


def record_key_file(run: Path) -> Path:
    """Return where the key of a run is kept: beside its folder, never in it.

    >>> record_key_file(Path("runs/credit-7")).name
    'credit-7.record-key'
    """
    folder = run.expanduser().resolve()
    return folder.with_name(f"{folder.name}.record-key")


@dataclass(frozen=True)
class RecordKey:
    """The 32 secret bytes of a run; they are neither printed nor compared."""

    _secret: bytes = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self._secret) != 32:
            raise InputError(f"a record key has 32 bytes, not {len(self._secret)}")

    @classmethod
    def generate(cls) -> Self:
        """Draw a new key from the operating system."""
        return cls(os.urandom(32))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a key file; raises :class:`InputError` that says what is wrong with it."""
        found = _FILE.fullmatch(read_key_file(path))
        if found is None:
            raise InputError("not a record key", where=str(path), valid=_VALID)
        return cls(bytes.fromhex(found[1].decode()))

    def save(self, path: str | Path, *, run: Path) -> Path:
        """Write the key to a new file, mode 0600, and return its path.

        Raises :class:`InputError` for a path inside the folder ``run``, which is given away, and
        where there is a file already: a lost key cannot be made again.
        """
        file = Path(path).expanduser()
        if file.resolve().is_relative_to(run.expanduser().resolve()):
            raise InputError(
                "the record key would lie inside the run folder, which others will read",
                where=str(path), valid="a path outside, for example beside the folder",
            )  # fmt: skip
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            exists = isinstance(error, FileExistsError)
            what = "there is a file already" if exists else error.strerror
            raise InputError(
                f"the record key cannot be written: {what}", where=str(path), valid="a new file"
            ) from None
        try:
            with open(fd, "wb", buffering=0):
                if hasattr(os, "fchmod"):  # whatever the umask
                    os.fchmod(fd, 0o600)
                write_all(fd, b"auditor/record-key/v1 " + self._secret.hex().encode() + b"\n")
                os.fsync(fd)
        except BaseException as error:
            with contextlib.suppress(OSError):
                file.unlink()
            if isinstance(error, OSError):
                raise InputError(
                    f"the record key cannot be written: {error.strerror}", where=str(path)
                ) from None
            raise
        sync_folder(file.parent)
        return file

    @property
    def root(self) -> str:
        """``sha256:…``, the commitment to all keys that goes into entry 0."""
        return f"sha256:{self._levels[-1][0].hex()}"

    def registration(self) -> dict[str, str]:
        """Return the field that entry 0 has for this key."""
        return {"records_key_root": self.root}

    def digest_key(self) -> bytes:
        """Return the key under which the run digests values that must not be guessed."""
        return hmac.digest(self._secret, b"auditor/value-digests/v1", "sha256")

    def bucket_key(self, bucket: int) -> bytes:
        """Return the 32 bytes that open one bucket."""
        return hmac.digest(self._secret, _BUCKET_KEY + bucket.to_bytes(2, "big"), "sha256")

    def bucket_path(self, bucket: int) -> list[bytes]:
        """Return the inclusion path of a bucket's key under :attr:`root`."""
        siblings = enumerate(self._levels[:-1])
        return [level[(bucket >> height) ^ 1] for height, level in siblings]

    def commitment(self, split: str, record: str) -> bytes:
        """Return the 32 bytes that stand for one record of a split."""
        return commitment(self.bucket_key(bucket_of(record)), split, record)

    def commitments(self, split: str, bucket: int, records: Iterable[str]) -> list[bytes]:
        """Return the commitments of records of one bucket, in the order given."""
        start = record_message(split, "")
        return _macs(self.bucket_key(bucket), start, map(encode_record, records))

    @cached_property
    def _levels(self) -> list[list[bytes]]:
        numbers = (bucket.to_bytes(2, "big") for bucket in range(BUCKETS))
        levels = [[bucket_leaf(key) for key in _macs(self._secret, _BUCKET_KEY, numbers)]]
        while len(levels[-1]) > 1:
            levels.append(level_above(levels[-1]))
        return levels


def commitment(key: bytes, split: str, record: str) -> bytes:
    """Return the commitment of a record under the key of its bucket."""
    return hmac.digest(key, record_message(split, record), "sha256")


_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


def _macs(key: bytes, start: bytes, ends: Iterable[bytes]) -> list[bytes]:
    """Return HMAC-SHA256 over ``start || end`` for each end (RFC 2104).

    What the messages share, the padded key and the start, is hashed once: that halves the time.
    """
    padded = key.ljust(64, b"\0")
    inner = hashlib.sha256(padded.translate(_INNER) + start)
    outer = hashlib.sha256(padded.translate(_OUTER))
    found: list[bytes] = []
    for end in ends:
        first, second = inner.copy(), outer.copy()
        first.update(end)
        second.update(first.digest())
        found.append(second.digest())
    return found
