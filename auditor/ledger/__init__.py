"""The record of a run: a chain of entries, a tree head over them, and a signature on the head.

``RUN/ledger.jsonl`` holds the entries, each with the digest of the one before. Entry 0 registers
the signer and the policy before the first measurement; the last entry, the seal, holds the digest
of every other file. ``RUN/head`` is the root of the Merkle tree (RFC 6962) over the entries as a
signed note (C2SP). So one line that fits on a business card binds every byte of the folder.

A writer goes :class:`RunFolder` → :class:`LedgerWriter`; a reader :class:`RunRecord`; a doubter
:func:`check_integrity`. Nothing heavy is imported here: ``cryptography`` is loaded when a key is
used.
"""

from auditor.ledger.chain import Entry, Ledger, LedgerFault, examine_ledger, parse_ledger
from auditor.ledger.folder import RunFolder
from auditor.ledger.integrity import Fault, Integrity, check_integrity, examine_run
from auditor.ledger.keys import KEY_VARIABLE, SigningKey, generate_key, signing_key_from
from auditor.ledger.layout import (
    EVIDENCE,
    FINDINGS,
    HEAD,
    KEY,
    LEDGER,
    POLICY,
    REGISTER,
    RUN_JSON,
    SEAL,
    STATEMENTS,
    VERDICT,
)
from auditor.ledger.note import Head, Signature, format_head, parse_head, verify_head
from auditor.ledger.record import RunRecord
from auditor.ledger.state import PathState, StateKind, state_of
from auditor.ledger.stored import read_ledger
from auditor.ledger.tree import leaf_hash, tree_root
from auditor.ledger.verifying import VerifyingKey
from auditor.ledger.writer import Clock, Durability, LedgerWriter, utc_now

__all__ = [
    "EVIDENCE",
    "FINDINGS",
    "HEAD",
    "KEY",
    "KEY_VARIABLE",
    "LEDGER",
    "POLICY",
    "REGISTER",
    "RUN_JSON",
    "SEAL",
    "STATEMENTS",
    "VERDICT",
    "Clock",
    "Durability",
    "Entry",
    "Fault",
    "Head",
    "Integrity",
    "Ledger",
    "LedgerFault",
    "LedgerWriter",
    "PathState",
    "RunFolder",
    "RunRecord",
    "Signature",
    "SigningKey",
    "StateKind",
    "VerifyingKey",
    "check_integrity",
    "examine_ledger",
    "examine_run",
    "format_head",
    "generate_key",
    "leaf_hash",
    "parse_head",
    "parse_ledger",
    "read_ledger",
    "signing_key_from",
    "state_of",
    "tree_root",
    "utc_now",
    "verify_head",
]
