"""Personal data: how fast ordinary text, numbers and hostile text are searched."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa
from measuring import Row, side_by_side

from auditor.provenance import packages_manifest, scan_personal_data

_WORDS = [
    "the", "of", "and", "to", "in", "is", "that", "was", "for", "on", "are", "with", "as", "they",
    "have", "this", "from", "or", "had", "by", "not", "what", "when", "there", "which", "their",
    "said", "other", "about", "people", "water", "number", "because", "through", "government",
]  # fmt: skip
_HOSTILE = ("1", "1 ", "12 34 56 ", "a@a.", "key=", "(2", "1-", "phone 1", "eyJ.", "aa:")


def text(size: int, *, seed: int = 0) -> pa.Table:
    """Return documents of about 1 kB of English words, with dates, sums, links and addresses.

    In a thousand words there are some ten numbers, two links, and one e-mail address.
    """
    rng = np.random.default_rng(seed)
    documents: list[str] = []
    made = 0
    while made < size:
        words = rng.choice(_WORDS, 190).tolist()
        words[50] = f"in {rng.integers(1900, 2030)}, {rng.integers(1, 999)},000 people"
        words[100] = f"https://example.org/{rng.integers(1 << 40):x}/page.html"
        if rng.random() < 0.2:
            words[150] = f"mail name{rng.integers(1000)}@example.org"
        documents.append(" ".join(words))
        made += len(documents[-1])
    return pa.table({"text": documents})


def processor(work: Callable[[], object]) -> float:
    """Return the processor time of a call: the machine may be doing other things."""
    start = time.process_time()
    work()
    return time.process_time() - start


def ordinary_text(size: int) -> Row:
    """All kinds in ordinary text, against one regular expression for e-mail addresses alone."""
    table = text(size)
    size = sum(map(len, table["text"].to_pylist()))
    address = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")

    def theirs() -> None:
        for document in table["text"].to_pylist():
            address.findall(document)

    row = side_by_side(lambda: scan_personal_data([table]), theirs, runs=5)
    seconds = statistics.median(processor(lambda: scan_personal_data([table])) for _ in range(5))
    return {
        "what": f"personal data of all kinds in {size / 1e6:.0f} MB of text",
        "against": "one pattern for e-mail addresses (re)",
        "bound": ">= 50 MB/s",
        "measured": size / 1e6 / seconds,
        **row,
    }


def speed(what: str, table: pa.Table, size: int) -> Row:
    seconds = statistics.median(processor(lambda: scan_personal_data([table])) for _ in range(3))
    return {
        "what": f"personal data in {size / 1e6:.1f} MB of {what}", "against": "nothing",
        "bound": "none", "ours_seconds": seconds, "measured": size / 1e6 / seconds,
        "runs": 3,
    }  # fmt: skip


def numbers(rows: int) -> Row:
    """Thirteen digits in each row: the most that has to be looked at one by one."""
    rng = np.random.default_rng(0)
    digits = [str(number) for number in rng.integers(10**12, 10**13, rows)]
    return speed("numbers of 13 digits, as text", pa.table({"n": digits}), 13 * rows)


def hostile(size: int) -> Row:
    """The slowest of texts that nearly match, and how its cost grows with its length."""

    def cost(unit: str, length: int) -> float:
        table = pa.table({"phone": [unit * (length // len(unit))]})
        return processor(lambda: scan_personal_data([table]))

    slowest = max(_HOSTILE, key=lambda unit: cost(unit, size // 8))
    tenth, whole = cost(slowest, size // 10), cost(slowest, size)
    return {
        "what": f"personal data in {size / 1e6:.1f} MB of {slowest!r} repeated",
        "against": "a tenth of it", "bound": "<= 20", "ours_seconds": whole,
        "theirs_seconds": tenth, "ratio": whole / tenth, "runs": 1,
    }  # fmt: skip


def packages() -> Row:
    """Digests of all installed packages."""
    found = packages_manifest()
    seconds = statistics.median(processor(packages_manifest) for _ in range(5))
    return {
        "what": f"digests of {len(found['packages'])} packages", "against": "nothing",
        "bound": "<= 0.3 s", "measured": seconds, "ours_seconds": seconds, "runs": 5,
    }  # fmt: skip
