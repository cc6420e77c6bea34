"""Text from data, policies and ledgers, made fit to be shown: visible, bounded, never markup.

Escaping for HTML or Markdown is the business of the output format. What is done here holds for all
of them: characters that cannot be seen, or that turn the direction of what follows, are spelled
out, and a name of 10,000 characters is cut where everybody can see that it was.
"""

from __future__ import annotations

import hashlib
import unicodedata

from auditor.evidence import Slice, Stage
from auditor.metrics import METRICS

__all__ = [
    "MOST_CHARACTERS",
    "metric_name",
    "metric_title",
    "over_text",
    "shown",
    "slice_text",
    "stage_text",
]

MOST_CHARACTERS = 120
"""The longest name that is shown whole."""

_JOINERS = "\u200c\u200d"  # they shape words in several scripts, and hide nothing
_INVISIBLE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


def shown(text: object, *, limit: int = MOST_CHARACTERS) -> str:
    r"""Return ``text`` on one line, with what cannot be seen spelled out, and cut at ``limit``.

    >>> shown("a\u202eb"), shown("two\nlines")
    ('a‹U+202E›b', 'two lines')
    >>> shown("x" * 500, limit=4)
    'xxxx… (500 characters, sha256 c38c2bf3)'
    """
    whole = str(text)
    kept = whole[:limit]
    clean = (kept if kept.isprintable() else "".join(map(_visible, kept))).strip()
    if len(whole) <= limit:
        return clean or ("‹blank›" if whole else "‹empty›")
    digest = hashlib.sha256(whole.encode("utf-8", "backslashreplace")).hexdigest()
    return f"{clean}… ({len(whole):,} characters, sha256 {digest[:8]})"


def metric_name(metric: str) -> tuple[str, str | None]:
    """Split a metric and its parameter, whatever the parameter holds.

    >>> metric_name("missing_rate[age]"), metric_name("auc")
    (('missing_rate', 'age'), ('auc', None))
    """
    base, bracket, rest = metric.partition("[")
    return (base, rest.removesuffix("]")) if bracket else (metric, None)


_NAMES = {"Brier", "F1", "KS", "Kolmogorov–Smirnov", "Matthews", "R", "R²", "ROC", "Wasserstein"}
"""What keeps its capital letter inside a title."""


def metric_title(metric: str) -> str:
    """Return the title of a metric, and its id in words where a plug-in's metric is not there.

    >>> metric_title("selection_rate_ratio"), metric_title("base_rate[test]")
    ('Ratio of selection rates', 'Base rate (test)')
    >>> metric_title("bias_corrected_gap[accuracy]")
    'Largest gap without its upward bias (accuracy)'
    """
    base, parameter = metric_name(metric)
    known = METRICS.get(base) if base in METRICS else None
    if known is None:
        title = shown(base.replace("_", " ")).capitalize()
    elif known.operation is not None and not known.extreme and known.components:
        title = _comparison_title(known.operation, METRICS.get(known.components[0]).title)
    else:
        title = known.title
    if parameter is None:
        return title
    if known is not None and known.parameter == "metric" and parameter in METRICS:
        return f"{title} ({_inside(METRICS.get(parameter).title)})"
    return f"{title} ({shown(parameter)})"


def slice_text(where: Slice, *, everybody: str = "everybody") -> str:
    """Return a slice in words; the attribute is named, because a value alone can mean anything.

    >>> slice_text(Slice({"sex": "Female", "race": None})), slice_text(Slice())
    ('race unknown, sex Female', 'everybody')
    """
    parts = [
        f"{shown(name)} unknown" if value is None else f"{shown(name)} {shown(value)}"
        for name, value in where.items()
    ]
    return ", ".join(parts) or everybody


def over_text(attributes: tuple[str, ...]) -> str:
    """Return the attributes of a family: ``race × sex``, or ``everybody``."""
    return " × ".join(map(shown, attributes)) or "everybody"


def stage_text(stage: Stage | str) -> str:
    """Return a stage as a heading.

    >>> stage_text(Stage.PRE_DEPLOYMENT)
    'Pre-deployment'
    """
    return shown(str(stage)).capitalize()


def _comparison_title(operation: str, component: str) -> str:
    name = _inside(component)
    plural = f"{name}s" if name.endswith("rate") else name
    return f"{operation.capitalize()} {'in' if operation == 'difference' else 'of'} {plural}"


def _inside(title: str) -> str:
    """Return a title as it stands within a sentence."""
    named = title.isupper() or title.split(" ")[0].rstrip("²") in _NAMES
    return title if named else title[:1].lower() + title[1:]


def _visible(character: str) -> str:
    if character.isprintable() or character in _JOINERS:
        return character
    if character in "\t\n\r\x0b\x0c" or unicodedata.category(character) == "Zs":
        return " "
    if unicodedata.category(character) in _INVISIBLE:
        return f"‹U+{ord(character):04X}›"
    return character
