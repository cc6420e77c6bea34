"""The ledger is light: what is not used is not loaded."""

from __future__ import annotations

from collections.abc import Callable

SCRIPT = """
import sys
import auditor.ledger
heavy = ("cryptography", "numpy", "pandas", "pyarrow", "duckdb", "torch", "sklearn", "shap")
print([name for name in heavy if name in sys.modules])
"""


def test_importing_the_ledger_loads_no_library_that_a_key_would_need(
    run_python: Callable[..., str],
) -> None:
    assert run_python(SCRIPT) == "[]\n"


VERIFYING = """
import sys
import auditor.verify
readers = ("auditor.datasets", "auditor.provenance", "auditor.discovery", "scipy")
print([name for name in readers if name in sys.modules])
"""


def test_whoever_verifies_loads_nothing_that_reads_data(run_python: Callable[..., str]) -> None:
    assert run_python(VERIFYING) == "[]\n"
