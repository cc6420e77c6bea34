"""Personal data in tables and text, by pattern and check digits: counts, and never a value."""

from auditor.provenance.personal_data.column_names import (
    HINTS,
    SPECIAL_CATEGORIES,
    column_hints,
)
from auditor.provenance.personal_data.kinds import CATEGORIES, KIND_IDS, category_of, select_kinds
from auditor.provenance.personal_data.matching import Search
from auditor.provenance.personal_data.scan import (
    DIGEST_METHOD,
    Column,
    Found,
    PersonalData,
    find,
    scan_personal_data,
    value_digest,
)

__all__ = [
    "CATEGORIES",
    "DIGEST_METHOD",
    "HINTS",
    "KIND_IDS",
    "SPECIAL_CATEGORIES",
    "Column",
    "Found",
    "PersonalData",
    "Search",
    "category_of",
    "column_hints",
    "find",
    "scan_personal_data",
    "select_kinds",
    "value_digest",
]
