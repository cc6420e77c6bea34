"""Addresses at which people are reached: e-mail, telephone, network."""

from __future__ import annotations

import ipaddress
import re

from auditor.provenance.personal_data.kind import Kind, bounded, phrases, plain, words

__all__ = [
    "CONTACTS",
    "email",
    "international_phone",
    "ipv4",
    "ipv6",
    "mac_address",
    "national_phone",
    "no_version",
    "north_american_phone",
]

_EMAIL = (
    rb"(?<![A-Za-z0-9!#$%&'*+/=?^_`{|}~-])"
    rb"([A-Za-z0-9!#$%&'*+/=?^_`{|}~-][A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{0,63}"
    rb"@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})(?![A-Za-z0-9_@-])"
)

# Country codes of ITU-T E.164 (list of 2016-12-15), by length.
_CODES = frozenset(
    str(code)
    for first, last in ((1, 1), (7, 7), (20, 20), (27, 27), (30, 34), (36, 36), (39, 41), (43, 49),
                        (51, 58), (60, 66), (81, 82), (84, 84), (86, 86), (90, 95), (98, 98),
                        (211, 213), (216, 216), (218, 218), (220, 258), (260, 269), (290, 291),
                        (297, 299), (350, 359), (370, 378), (380, 383), (385, 387), (389, 389),
                        (420, 421), (423, 423), (500, 509), (590, 599), (670, 670), (672, 683),
                        (685, 692), (850, 850), (852, 853), (855, 856), (880, 880), (886, 886),
                        (960, 968), (970, 977), (992, 996), (998, 998))
    for code in range(first, last + 1)
)  # fmt: skip

_PHONE_WORDS = (
    "phone", "phone no", "phone number", "telephone", "tel", "tel no", "mobile", "mob", "cell",
    "cellphone", "call", "fax", "whatsapp", "sms", "text me", "telefon", "handy", "mobil",
    "téléphone", "teléfono", "telefono", "telefone", "móvil", "movil", "celular", "telefoon",
    "puhelin", "tlf", "msisdn",
)  # fmt: skip


def email(value: str) -> bool:
    """Whether it is an address: no two dots together, no hyphen at an end of a label.

    The common form of RFC 5321, section 4.1.2, without quotes and comments.

    >>> email("a.b@example.org"), email("a..b@example.org"), email("a@-b.org")
    (True, False, False)
    """
    local, _, domain = value.rpartition("@")
    labels = domain.split(".")
    dots = ".." in local or local[-1] == "."
    hyphens = any(label[0] == "-" or label[-1] == "-" for label in labels)
    # A file name such as logo@2x.png is no address.
    picture = labels[-1].lower() in {"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js"}
    return not (dots or hyphens or picture) and len(domain) <= 253


def _lower(value: str) -> str:
    local, _, domain = value.rpartition("@")
    return f"{local}@{domain.lower()}"


def international_phone(value: str) -> bool:
    """Whether ``+`` is followed by a country code and 9 to 15 digits (ITU-T E.164, section 6).

    >>> international_phone("+44 20 7946 0958"), international_phone("+999 123 456 789")
    (True, False)
    """
    digits = plain(value)
    if digits[0] == "1":
        return len(digits) == 11 and _area(digits[1:])
    if digits[0] == "0" or not 9 <= len(digits) <= 15 or len(set(digits[2:])) == 1:
        return False
    return any(digits[:width] in _CODES for width in (1, 2, 3))


def north_american_phone(value: str) -> bool:
    """Whether area and exchange may be given out: [2-9]XX, and neither of them N11 (NANPA).

    >>> north_american_phone("(212) 736-5000"), north_american_phone("(111) 736-5000")
    (True, False)
    """
    digits = plain(value)
    return _area(digits[-10:])


def _area(digits: str) -> bool:
    area, exchange = digits[:3], digits[3:6]
    return (
        area[0] in "23456789" and exchange[0] in "23456789" and "11" not in (area[1:], exchange[1:])
    )


def national_phone(value: str) -> bool:
    """Whether it may be dialled: 7 to 12 digits of three kinds and more; a word must stand beside.

    Seven digits are written together, or as three and four.

    >>> national_phone("020 7946 0958"), national_phone("555-1234"), national_phone("1000/200")
    (True, True, False)
    """
    digits = plain(value)
    if len(digits) == 7 and not re.fullmatch(r"\d{3}[ .-]?\d{4}", value):
        return False
    return (
        7 <= len(digits) <= 12 and len(set(digits)) > 2 and (digits[0] == "0" or "/" not in value)
    )


_NETWORK_WORDS = words(
    "ip", "ips", "ipv4", "ip address", "address", "addr", "host", "server", "client", "dns", "ping",
     "gateway", "proxy", "remote", "peer", "from", "http", "https", "ssh"
)  # fmt: skip
_VERSION = re.compile(r"(?:\b(?:v|ver|version|release|build|rev|section|chapter|firmware)[ .:]{0,2}"
                      r"|[A-Za-z]/|[=<>~^]=? ?)$", re.IGNORECASE)  # fmt: skip


def ipv4(value: str) -> bool:
    """Whether it is a public address (IANA, special-purpose address registry).

    >>> ipv4("93.184.216.34"), ipv4("192.168.0.1"), ipv4("300.1.1.1")
    (True, False, False)
    """
    try:
        address = ipaddress.IPv4Address(value)
    except ValueError:
        return False
    return address.is_global and not address.is_multicast


def no_version(value: str, before: str) -> bool:
    """Whether four numbers with dots are an address, and not those of a version or a section.

    Numbers below 32 are as likely such a number: they need a word about networks before them.

    >>> no_version("93.184.216.34", ""), no_version("93.184.216.34", "version ")
    (True, False)
    >>> no_version("8.8.8.8", "see section"), no_version("8.8.8.8", "the DNS server ")
    (False, True)
    """
    if _VERSION.search(before):
        return False
    small = max(map(int, value.split("."))) < 32
    return not small or not _NETWORK_WORDS.isdisjoint(phrases(before))


def ipv6(value: str) -> bool:
    """Whether it is an address of the public network, 2000::/3 (RFC 4291, section 2.4).

    >>> ipv6("2606:2800:220:1::1"), ipv6("2001:db8::1")
    (True, False)
    """
    try:
        address = ipaddress.IPv6Address(value)
    except ValueError:
        return False
    return address.is_global


def mac_address(value: str) -> bool:
    """Whether it is the address of one device: neither a group's nor an empty one (IEEE 802-2014).

    >>> mac_address("00:1A:2B:3C:4D:5E"), mac_address("ff:ff:ff:ff:ff:ff")
    (True, False)
    """
    digits = plain(value)
    return not int(digits[1], 16) & 1 and int(digits, 16) > 0


_E164 = "ITU-T E.164 (2010)"

CONTACTS = (
    Kind("email", "E-mail address", "email", "at", _EMAIL, email,
         "RFC 5321, section 4.1.2", None, _lower),
    Kind("phone", "Telephone number", "phone", "number",
         rb"(?<![0-9A-Za-z_+=#])(\+[1-9](?:[ ().\-/]{0,2}\d){7,14})(?![0-9A-Za-z_])",
         international_phone, _E164, None, plain),
    Kind("phone", "Telephone number", "phone", "number",
         bounded(rb"(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[.-])[2-9]\d\d[ .-]\d{4}"),
         north_american_phone, "NANPA, numbering plan", None,
         lambda value: "1" + plain(value)[-10:]),
    Kind("phone", "Telephone number", "phone", "number",
         rb"(?<![0-9A-Za-z_.+#])(\(?\d(?:[ ().\-/]{0,2}\d){6,12})(?![0-9A-Za-z_])",
         national_phone, _E164, words(*_PHONE_WORDS), plain),
    Kind("ipv4", "IPv4 address", "network-address", "network",
         rb"(?<![0-9A-Za-z_.-])(?:\d{1,3}\.){3}\d{1,3}(?![0-9A-Za-z_-])(?!\.[0-9])",
         ipv4, "RFC 791; IANA special-purpose registry", fits=no_version),
    Kind("ipv6", "IPv6 address", "network-address", "network",
         rb"(?<![0-9A-Za-z_:.])[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{2,34}(?![0-9A-Za-z_:])",
         ipv6, "RFC 4291; IANA special-purpose registry", None,
         lambda value: ipaddress.IPv6Address(value).exploded),
    Kind("mac-address", "MAC address", "network-address", "network",
         rb"(?<![0-9A-Za-z_:-])(?:(?:[0-9A-Fa-f]{2}:){5}|(?:[0-9A-Fa-f]{2}-){5})"
                    rb"[0-9A-Fa-f]{2}(?![0-9A-Za-z_:-])",
         mac_address, "IEEE 802-2014, section 8", None, plain),
)  # fmt: skip
