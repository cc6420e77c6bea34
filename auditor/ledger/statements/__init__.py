"""What a run states to others: in-toto statements in DSSE envelopes, and whether they hold.

The engine writes ``statements_of(record, key)`` before the seal; ``auditor verify`` asks
:func:`check_statements`. Any in-toto or DSSE library reads the files.
"""

from auditor.ledger.statements.checking import check_statements
from auditor.ledger.statements.dsse import (
    Envelope,
    pre_authentication_encoding,
    read_envelope,
    verify_envelope,
)
from auditor.ledger.statements.run import run_statements, statements_of
from auditor.ledger.statements.statement import (
    Resource,
    Statement,
    read_statement,
    sign_statement,
    verify_statement,
)

__all__ = [
    "Envelope",
    "Resource",
    "Statement",
    "check_statements",
    "pre_authentication_encoding",
    "read_envelope",
    "read_statement",
    "run_statements",
    "sign_statement",
    "statements_of",
    "verify_envelope",
    "verify_statement",
]
