"""What was found so far, public keys, and the signed head."""

from __future__ import annotations

from typing import Any

from auditor.verify.standalone.formats import EMPTY, Bad, digest_text, sha, unbase64

__all__ = ["Report", "Signer", "check_note", "check_signature", "read_key"]

Signer = tuple[str, bytes, bytes]
"""The name, the 32 bytes and the key id of a public key."""

PRIME = 2**255 - 19
ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
SMALL_ORDER = {0, 1, PRIME - 1, ORDER_8, PRIME - ORDER_8}


class Report:
    """What was found; ``unchecked`` where ``cryptography`` is missing."""

    def __init__(self, key: Signer | None, head: str | None) -> None:
        self.key, self.known, self.root = key, head, EMPTY
        self.signer: Signer | None = None
        self.signed = self.unchecked = False
        self.faults: list[dict[str, str]] = []
        self.says: list[str] = []

    def fault(self, where: str, what: str) -> None:
        """Add something that is off."""
        self.faults.append({"where": where, "what": what})

    def demand(self, right: object, where: str, what: str) -> bool:
        """Add a fault unless something is right; return whether it is."""
        if not right:
            self.fault(where, what)
        return bool(right)

    @property
    def pinned(self) -> bool:
        """Whether the signer is the key that the caller trusts."""
        return bool(self.key and self.signer and self.key[1] == self.signer[1])

    @property
    def exit_code(self) -> int:
        """0 intact and signed by the key given, 3 not pinned or not signed, 1 anything off."""
        return 1 if self.faults else 0 if self.signed and self.pinned else 3

    def finish(self) -> None:
        """Hold what was found against what the caller knows."""
        self.demand(self.known in (None, digest_text(self.root)), "--head",
                    f"the head of this run is {digest_text(self.root)}")  # fmt: skip
        self.demand(not self.key or self.pinned, "--key", "not signed by the key given")


def read_key(line: object) -> Signer:
    """Read ``<name>+<key id>+<base64>`` (C2SP vkey): the name, the 32 bytes, the key id."""
    name, _, rest = str(line).partition("+")
    key_id, _, encoded = rest.partition("+")
    data = unbase64(encoded)
    good = name and name.isprintable() and " " not in name and data[:1] == b"\x01"
    y = int.from_bytes(data[1:], "little") & (2**255 - 1)
    if not good or len(data) != 33 or y >= PRIME or y in SMALL_ORDER:
        raise Bad("not a public key")
    if sha(name.encode() + b"\n" + data)[:4].hex() != key_id:
        raise Bad("not a public key: the key id does not fit")
    return name, data[1:], bytes.fromhex(key_id)


def check_signature(report: Report, signature: bytes, data: bytes) -> bool:
    """Whether the signer signed ``data``; where that cannot be known, it is said and not denied."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        report.unchecked = True
        return True
    try:
        public = report.signer[1] if report.signer else b""
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def check_note(report: Report, data: bytes, first: dict[str, Any]) -> tuple[str, int, bytes] | None:
    """Hold a head (C2SP signed note) against the signer of entry 0; return name, size, root."""
    try:
        report.signer = None if first.get("signer") is None else read_key(first["signer"])
    except Bad as error:
        report.fault("entry 0, signer", str(error))
        return None
    try:
        text, blank, signed = data.decode().rpartition("\n\n")
        origin, size, root = text.split("\n")
        if not (blank and size == str(int(size)) and 0 <= int(size) < 10**18 and origin):
            raise Bad("not a head")
        root = unbase64(root)
        lines = [line.split(" ") for line in signed.split("\n")]
        if lines.pop() != [""] or len(root) != 32 or not origin.isprintable():
            raise Bad("not a head")
        found = [(name, unbase64(code)) for dash, name, code in lines if dash == "\N{EM DASH}"]
        if len(found) != len(lines):
            raise Bad("not a signature line")
    except (ValueError, Bad) as error:
        report.fault("head", f"cannot be read ({error})")
        return None
    report.root = root
    if report.signer is None:
        report.demand(not found, "head", "signed, but entry 0 names no signer")
    elif not found:
        report.fault("head", "the signature was stripped: entry 0 names a signer")
    else:
        name, _, key_id = report.signer
        right = len(found) == 1 and (found[0][0], found[0][1][:4]) == (name, key_id)
        if report.demand(right, "head", f"not signed by the signer {name} of entry 0"):
            good = check_signature(report, found[0][1][4:], f"{text}\n".encode())
            report.demand(good, "head", f"the signature by {name} does not verify")
            report.signed = good and not report.unchecked
    return origin, int(size), root
