"""What the licences that data come under allow: one row a licence, read off its own text."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["GROUPS", "USES", "LicenceTerms", "known_licences", "licence_terms"]

GROUPS = ("public-domain", "permissive", "copyleft", "non-commercial", "no-derivatives")
"""What a licence asks for: nothing; credit at most; the same terms for what is made of it; no
commercial use; nothing made of it. A licence with two limits is in both groups."""

USES = ("commercial", "derivatives", "redistribution", "relicensing")
"""Commercial use; making something of the data and passing it on; passing the data on; passing on
under other terms what was made of them."""


@dataclass(frozen=True, slots=True)
class LicenceTerms:
    """What a licence allows: its groups, the uses, and the address of its text."""

    id: str
    groups: frozenset[str]
    uses: frozenset[str]
    source: str


_PUBLIC_DOMAIN = (
    "0BSD", "CC-PDDC", "CC-PDM-1.0", "CC0-1.0", "DL-DE-ZERO-2.0", "MIT-0", "PDDL-1.0", "Unlicense",
)  # fmt: skip
_PERMISSIVE = (
    "AFL-3.0", "Apache-2.0", "Artistic-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0",
    "CDLA-Permissive-1.0", "CDLA-Permissive-2.0", "DL-DE-BY-2.0", "ISC", "MIT", "NLOD-2.0",
    "ODC-By-1.0", "OGL-Canada-2.0", "OGL-UK-1.0", "OGL-UK-2.0", "OGL-UK-3.0", "PSF-2.0", "Zlib",
    "etalab-2.0",
)  # fmt: skip
_COPYLEFT = (
    "AGPL-3.0", "AGPL-3.0-only", "AGPL-3.0-or-later", "CDLA-Sharing-1.0", "EPL-2.0", "EUPL-1.2",
    "GFDL-1.2-only", "GFDL-1.2-or-later", "GFDL-1.3-only", "GFDL-1.3-or-later", "GPL-2.0",
    "GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0", "GPL-3.0-only", "GPL-3.0-or-later", "LGPL-2.1",
    "LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0", "LGPL-3.0-only", "LGPL-3.0-or-later",
    "MPL-2.0", "ODbL-1.0",
)  # fmt: skip
_GROUP = {
    **dict.fromkeys(_PUBLIC_DOMAIN, "public-domain"),
    **dict.fromkeys(_PERMISSIVE, "permissive"),
    **dict.fromkeys(_COPYLEFT, "copyleft"),
}

# Creative Commons says it in the name: BY, then NC, then ND or SA; a version; a jurisdiction.
_CREATIVE_COMMONS = re.compile(r"CC-BY(-NC)?(-ND|-SA)?-\d\.\d(-[A-Z]+)?")


def licence_terms(identifier: str) -> LicenceTerms | None:
    """Return the terms of an SPDX id; ``None`` where the table does not know it.

    Non-commercial forbids commercial use; no-derivatives forbids passing on what was made of the
    data; copyleft lets it be passed on under the same terms only. Each row was read off the text
    that ``source`` names.

    >>> sorted(licence_terms("CC-BY-NC-SA-4.0").groups), sorted(licence_terms("MIT").uses)
    (['copyleft', 'non-commercial'], ['commercial', 'derivatives', 'redistribution', 'relicensing'])
    """
    if identifier in _GROUP:
        groups = frozenset({_GROUP[identifier]})
    elif (found := _CREATIVE_COMMONS.fullmatch(identifier)) is not None:
        limits = {"non-commercial": found[1], "no-derivatives": found[2] == "-ND",
                  "copyleft": found[2] == "-SA"}  # fmt: skip
        groups = frozenset(name for name, holds in limits.items() if holds) or {"permissive"}
    else:
        return None
    uses = set(USES)
    if "non-commercial" in groups:
        uses -= {"commercial"}
    if "no-derivatives" in groups:
        uses -= {"derivatives", "relicensing"}
    if "copyleft" in groups:
        uses -= {"relicensing"}
    return LicenceTerms(
        identifier, frozenset(groups), frozenset(uses), f"https://spdx.org/licenses/{identifier}"
    )


def known_licences() -> tuple[str, ...]:
    """Return the ids that stand in the table by name; those of Creative Commons follow a rule."""
    return tuple(sorted(_GROUP))
