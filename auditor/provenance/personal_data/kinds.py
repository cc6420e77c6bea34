"""All kinds of personal data that are looked for, in the order in which they are preferred."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.errors import InputError, nearest
from auditor.provenance.personal_data.accounts import ACCOUNTS
from auditor.provenance.personal_data.contacts import CONTACTS
from auditor.provenance.personal_data.kind import Kind
from auditor.provenance.personal_data.national_ids import NATIONAL_IDS
from auditor.provenance.personal_data.secrets import SECRETS

__all__ = ["CATEGORIES", "KINDS", "KIND_IDS", "category_of", "select_kinds"]

# Where one text could be two kinds the earlier wins: an IBAN holds what looks like a card.
KINDS: tuple[Kind, ...] = (
    *SECRETS, CONTACTS[0], ACCOUNTS[0], *NATIONAL_IDS[:3], ACCOUNTS[1], *NATIONAL_IDS[3:],
    *CONTACTS[1:],
)  # fmt: skip

KIND_IDS: tuple[str, ...] = tuple(dict.fromkeys(kind.id for kind in KINDS))
"""The names of the kinds; a kind may be written in more than one way."""

CATEGORIES: tuple[str, ...] = tuple(dict.fromkeys(kind.category for kind in KINDS))

_CATEGORY = {kind.id: kind.category for kind in KINDS}


def category_of(kind: str) -> str:
    """Return the category of a kind.

    >>> category_of("us-ssn")
    'national-id'
    """
    return _CATEGORY[kind]


def select_kinds(names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the ids of named kinds and categories, all for ``None``; raises :class:`InputError`.

    >>> select_kinds(["phone", "bank-account"])
    ('iban', 'phone')
    """
    if names is None:
        return KIND_IDS
    valid = (*CATEGORIES, *KIND_IDS)
    for name in names:
        if name not in valid:
            raise InputError(
                f"there is no kind of personal data {name!r}", valid=nearest(name, valid)
            )
    return tuple(kind for kind in KIND_IDS if kind in names or _CATEGORY[kind] in names)
