"""RFC 3161 time stamps: a request to send, and the answer of an authority, from files alone.

A time stamp on the digest of entry 0 shows third parties that the policy was registered by then,
which the signer's own clock cannot. Nothing here uses the network: the request is a file that the
user sends (``curl --data-binary @entry0.tsq -H 'Content-Type: application/timestamp-query'``), the
response is a file that they bring back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.errors import InputError, MissingExtraError
from auditor.evidence import Value
from auditor.ledger import der
from auditor.ledger.chain import format_time
from auditor.ledger.encoding import is_digest
from auditor.ledger.storage import read_file
from auditor.ledger.verifying import read_key_file

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = [
    "ENTRY_0_STAMP",
    "Timestamp",
    "read_response",
    "read_roots",
    "read_timestamp",
    "timestamp_request",
]

ENTRY_0_STAMP = "statements/entry-0.tsr"
"""Where in a run an authority's response for entry 0 lies."""

_SHA256 = "2.16.840.1.101.3.4.2.1"
_EXPLICIT_0 = 0xA0
_LARGEST = 2**20


class Timestamp(Value):
    """When an authority saw the digest.

    ``time`` is in UTC, ``tsa`` the subject of the certificate that signed, ``serial`` the
    authority's number for the token. ``verified``: the signature leads to one of the given roots.
    Where it is false, nothing but the digest was checked, and anybody could have written the rest.
    """

    time: str
    tsa: str
    serial: int
    verified: bool


def timestamp_request(digest: str, *, nonce: int | None = None) -> bytes:
    """Return the request (TimeStampReq, DER) for the digest ``sha256:…``.

    What is stamped is the digest itself: the message imprint is its 32 bytes. Without ``nonce``
    the request has none; the same digest then always gives the same request.
    """
    imprint = der.sequence(
        der.sequence(der.object_identifier(_SHA256), der.null()), der.octet_string(_bytes(digest))
    )
    parts = [der.integer(1), imprint]
    if nonce is not None:
        parts.append(der.integer(nonce))
    return der.sequence(*parts, der.boolean(true=True))  # the certificate is asked for


def read_timestamp(
    response: bytes,
    digest: str,
    *,
    roots: Sequence[Certificate] | None = None,
    where: str | None = None,
) -> Timestamp:
    """Read a response (TimeStampResp, DER) for the digest ``sha256:…``.

    With ``roots`` the token's signature, the purpose of its certificate and the chain to one of
    the roots are verified, at the time that the token names. Raises :class:`InputError` for bytes
    that are no response, for a refusal, for another digest, and for a signature that does not
    verify; :class:`MissingExtraError` where ``rfc3161-client`` is not installed.
    """
    parsed = _parse(response, where=where)
    expected = _bytes(digest)
    try:
        imprint = parsed.tst_info.message_imprint
        algorithm, message = imprint.hash_algorithm.dotted_string, bytes(imprint.message)
        moment, serial = parsed.tst_info.gen_time, int(parsed.tst_info.serial_number)
        authority = _authority(parsed)
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise InputError("the time stamp cannot be read", where=where) from None
    if algorithm != _SHA256 or message != expected:
        raise InputError("the time stamp is of another digest", where=where, valid=digest)
    if roots:
        _verify(parsed, expected, roots, where=where)
    return Timestamp(
        time=format_time(moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment),
        tsa=authority,
        serial=serial,
        verified=bool(roots),
    )


def read_response(path: str | Path) -> bytes:
    """Return the bytes of a response's file; raises :class:`InputError`."""
    try:
        return read_file(Path(path).expanduser(), most=_LARGEST)
    except OSError as error:
        raise InputError(
            f"the response cannot be read: {error.strerror}", where=str(path),
            valid="the file that the authority sent",
        ) from None  # fmt: skip


def read_roots(path: str | Path) -> tuple[Certificate, ...]:
    """Read the certificates of the authorities that are trusted, from a PEM file."""
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return tuple(load_pem_x509_certificates(read_key_file(path)))
    except ValueError:
        raise InputError("no certificates in PEM form", where=str(path)) from None


def _parse(response: bytes, *, where: str | None) -> Any:
    try:
        from rfc3161_client import decode_timestamp_response
    except ImportError:
        raise MissingExtraError(
            "rfc3161-client is not installed", where=where, valid="pip install 'auditor[timestamp]'"
        ) from None
    if len(response) > _LARGEST:
        raise InputError("too large to be a time stamp", where=where)
    try:
        (outer,) = der.read_elements(response)  # nothing may follow the one response
        status = outer.parts(der.SEQUENCE)[0].parts(der.SEQUENCE)[0].number()
    except (ValueError, IndexError):
        raise InputError("not a time stamp response", where=where, valid="a .tsr file") from None
    if status not in (0, 1):
        raise InputError(f"the authority refused (status {status})", where=where)
    try:
        return decode_timestamp_response(_with_sorted_certificates(outer))
    except (ValueError, TypeError, IndexError):
        raise InputError("not a time stamp response", where=where, valid="a .tsr file") from None


def _with_sorted_certificates(response: der.Element) -> bytes:
    """Return a response whose certificates stand in the order of DER; raises :class:`ValueError`.

    Authorities send the chain as it leads to the root, and ``rfc3161-client`` reads a SET in the
    order of DER alone. What is signed are the signed attributes of the signer (RFC 5652, section
    5.4), and through them the content and the digest of the signer's own certificate; the
    certificates are only material to verify with, and in any order the same set.
    """
    status, token, *more = response.parts(der.SEQUENCE)
    kind, content, *beside = token.parts(der.SEQUENCE)
    (signed,) = content.parts(_EXPLICIT_0)
    parts = [
        der.element(part.tag, b"".join(sorted({each.encoded for each in part.parts()})))
        if part.tag == _EXPLICIT_0
        else part.encoded
        for part in signed.parts(der.SEQUENCE)
    ]
    whole = der.element(_EXPLICIT_0, der.sequence(*parts))
    renewed = der.sequence(kind.encoded, whole, *(part.encoded for part in beside))
    return der.sequence(status.encoded, renewed, *(part.encoded for part in more))


def _authority(parsed: Any) -> str:
    """Return the subject of the certificate that the signer names, or the signer's issuer."""
    from cryptography import x509

    (signer,) = parsed.signed_data.signer_infos
    for data in parsed.signed_data.certificates:
        certificate = x509.load_der_x509_certificate(data)
        if (certificate.issuer, certificate.serial_number) == (signer.issuer, signer.serial_number):
            return certificate.subject.rfc4514_string()
    return f"certificate {signer.serial_number} of {signer.issuer.rfc4514_string()}"


def _verify(
    parsed: Any, message: bytes, roots: Sequence[Certificate], *, where: str | None
) -> None:
    from rfc3161_client import VerifierBuilder
    from rfc3161_client.errors import VerificationError

    builder = VerifierBuilder()
    for root in dict.fromkeys(roots):
        builder = builder.add_root_certificate(root)
    try:
        builder.build().verify(parsed, message)
    except (VerificationError, ValueError, TypeError, AssertionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"the time stamp does not verify: {reason}", where=where) from None


def _bytes(digest: str) -> bytes:
    if not is_digest(digest):
        raise InputError(f"{digest[:80]!r} is not a digest", valid="sha256:<64 hex digits>")
    return bytes.fromhex(digest.removeprefix("sha256:"))
