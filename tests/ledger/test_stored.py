"""A ledger too large for memory reads as a small one does."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.errors import RunError
from auditor.ledger import Ledger, LedgerFault, LedgerWriter, read_ledger, tree_root


@pytest.fixture
def ledger_file(tmp_path: Path) -> Path:
    with LedgerWriter(tmp_path, durable="sync") as writer:
        for n in range(20):
            writer.append("even" if n % 2 == 0 else "odd", {"n": n, "text": "é" * n})
    return writer.path


def same(path: Path) -> tuple[Ledger, tuple[LedgerFault, ...]]:
    """Read both ways, insist on the same, and return the large way's."""
    small, few = read_ledger(path)
    large, faults = read_ledger(path, small=0)
    assert isinstance(small.entries, tuple)
    assert not isinstance(large.entries, tuple)
    assert tuple(large.entries) == small.entries
    assert tuple(large.lines) == small.lines
    assert large.torn == small.torn
    assert large.root() == small.root() == tree_root(small.lines)
    assert [str(fault) for fault in faults] == [str(fault) for fault in few]
    assert large.of_type("odd") == small.of_type("odd")
    assert large.of_type("odd") == tuple(e for e in small.entries if e.type == "odd")
    assert (large.seal, large.registration) == (small.seal, small.registration)
    return large, faults


def test_a_large_ledger_reads_as_a_small_one(ledger_file: Path) -> None:
    ledger, faults = same(ledger_file)
    assert not faults
    assert len(ledger.entries) == len(ledger.lines) == 20
    assert ledger.entries[-1].seq == 19
    assert [entry.seq for entry in ledger.entries[3:9:2]] == [3, 5, 7]
    assert ledger.lines[2:4] == tuple(ledger.lines)[2:4]
    with pytest.raises(IndexError):
        ledger.entries[20]
    assert len(ledger.of_type("odd", "even")) == 20


def test_a_damaged_large_ledger_reads_as_a_small_one(ledger_file: Path) -> None:
    data = ledger_file.read_bytes()
    generator = random.Random(0)
    damaged = 0
    for _ in range(60):
        changed = bytearray(data)
        changed[generator.randrange(len(data))] = generator.choice(b'\n\0x"{')
        ledger_file.write_bytes(changed[: generator.randrange(len(data) // 2, len(data) + 1)])
        ledger, faults = same(ledger_file)
        damaged += bool(faults or ledger.torn)
    assert damaged > 30


def test_a_ledger_that_was_replaced_meanwhile_is_not_read_on(
    ledger_file: Path, tmp_path: Path
) -> None:
    ledger, _ = read_ledger(ledger_file, small=0)
    (tmp_path / "other").write_bytes(ledger_file.read_bytes())
    (tmp_path / "other").replace(ledger_file)
    read: list[Callable[[], object]] = [lambda: ledger.entries[0], lambda: list(ledger.lines)]
    for look in read:
        with pytest.raises(RunError, match="replaced while it was read"):
            look()
    ledger_file.unlink()
    with pytest.raises(RunError, match="cannot be read"):
        ledger.entries[0]
