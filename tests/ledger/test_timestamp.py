"""Time stamps: an authority made for the test stamps, and what it did not stamp is refused."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st
from rfc3161_client import _rust

from auditor import Audit
from auditor.errors import InputError, MissingExtraError
from auditor.ledger import RunRecord, der
from auditor.ledger.timestamp import Timestamp, read_roots, read_timestamp, timestamp_request
from auditor.verify import verify_run

DIGEST = "sha256:" + hashlib.sha256(b"entry 0").hexdigest()
MOMENT = datetime(2026, 11, 1, 12, 0, 5, tzinfo=UTC)
SHA256 = der.sequence(der.object_identifier("2.16.840.1.101.3.4.2.1"), der.null())
TST_INFO = der.object_identifier("1.2.840.113549.1.9.16.1.4")
SIGNED_DATA = der.object_identifier("1.2.840.113549.1.7.2")
ECDSA_SHA256 = der.sequence(der.object_identifier("1.2.840.10045.4.3.2"))


def set_of(*parts: bytes, tag: int = 0x31) -> bytes:
    return der.element(tag, b"".join(sorted(parts)))


def attribute(oid: str, value: bytes) -> bytes:
    return der.sequence(der.object_identifier(oid), set_of(value))


@dataclass
class Authority:
    """A root, and a certificate by it that stamps."""

    root: x509.Certificate
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls, *, purpose: Any = ExtendedKeyUsageOID.TIME_STAMPING) -> Authority:
        root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        names = [
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
            for name in ("Test root", "Test stamps")
        ]

        def certificate(subject: x509.Name, public: Any) -> x509.CertificateBuilder:
            return (
                x509.CertificateBuilder(names[0], subject, public, x509.random_serial_number())
                .not_valid_before(MOMENT - timedelta(days=1))
                .not_valid_after(MOMENT + timedelta(days=1))
            )

        root = (
            certificate(names[0], root_key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(root_key, hashes.SHA256())
        )
        leaf = (
            certificate(names[1], key.public_key())
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
            .sign(root_key, hashes.SHA256())
        )
        return cls(root, leaf, key)

    def stamp(
        self,
        digest: str,
        *,
        status: int = 0,
        at: datetime = MOMENT,
        certificates: Sequence[x509.Certificate] | None = None,
    ) -> bytes:
        """A response as RFC 3161 and RFC 5652 have it, built by hand.

        Certificates are sent in the order in which they are given; by default the signer's alone.
        """
        imprint = der.sequence(SHA256, der.octet_string(bytes.fromhex(digest[7:])))
        info = der.sequence(
            der.integer(1),
            der.object_identifier("1.2.3.4"),
            imprint,
            der.integer(4711),
            der.element(0x18, f"{at:%Y%m%d%H%M%SZ}".encode()),
        )
        encoded = self.certificate.public_bytes(serialization.Encoding.DER)
        own = der.sequence(der.octet_string(hashlib.sha256(encoded).digest()))
        attributes = [
            attribute("1.2.840.113549.1.9.3", TST_INFO),
            attribute("1.2.840.113549.1.9.4", der.octet_string(hashlib.sha256(info).digest())),
            attribute("1.2.840.113549.1.9.16.2.47", der.sequence(der.sequence(own))),
        ]
        signature = self.key.sign(set_of(*attributes), ec.ECDSA(hashes.SHA256()))
        issuer = self.certificate.issuer.public_bytes()
        signer = der.sequence(
            der.integer(1),
            der.sequence(issuer, der.integer(self.certificate.serial_number)),
            SHA256,
            set_of(*attributes, tag=0xA0),
            ECDSA_SHA256,
            der.octet_string(signature),
        )
        content = der.sequence(TST_INFO, der.element(0xA0, der.octet_string(info)))
        sent = [self.certificate] if certificates is None else certificates
        chain = b"".join(each.public_bytes(serialization.Encoding.DER) for each in sent)
        signed = der.sequence(
            der.integer(3), set_of(SHA256), content, der.element(0xA0, chain), set_of(signer)
        )
        token = der.sequence(SIGNED_DATA, der.element(0xA0, signed))
        return der.sequence(der.sequence(der.integer(status)), token)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.make()


@pytest.mark.parametrize("nonce", [None, 0, 77, 2**63])
def test_the_official_library_reads_the_request(nonce: int | None) -> None:
    data = timestamp_request(DIGEST, nonce=nonce)
    request = _rust.parse_timestamp_request(data)
    assert request.as_bytes() == data
    assert request.nonce == nonce
    assert request.cert_req
    assert request.message_imprint.message == bytes.fromhex(DIGEST[7:])
    assert timestamp_request(DIGEST, nonce=nonce) == data


def test_a_stamp_under_a_trusted_root_is_verified(authority: Authority) -> None:
    response = authority.stamp(DIGEST)
    stamp = read_timestamp(response, DIGEST, roots=[authority.root, authority.root])
    assert stamp == Timestamp(
        time="2026-11-01T12:00:05Z", tsa="CN=Test stamps", serial=4711, verified=True
    )
    assert read_timestamp(response, DIGEST) == stamp.model_copy(update={"verified": False})


def test_what_was_not_stamped_or_not_by_the_trusted_is_refused(authority: Authority) -> None:
    response, other = authority.stamp(DIGEST), Authority.make()
    with pytest.raises(InputError, match="of another digest"):
        read_timestamp(response, "sha256:" + "00" * 32)
    with pytest.raises(InputError, match="does not verify"):
        read_timestamp(response, DIGEST, roots=[other.root])
    with pytest.raises(InputError, match="does not verify"):
        late = authority.stamp(DIGEST, at=MOMENT + timedelta(days=9))  # the certificate had expired
        read_timestamp(late, DIGEST, roots=[authority.root])
    server = Authority.make(purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    with pytest.raises(InputError, match="does not verify"):
        read_timestamp(server.stamp(DIGEST), DIGEST, roots=[server.root])
    with pytest.raises(InputError, match=r"refused \(status 2\)"):
        read_timestamp(authority.stamp(DIGEST, status=2), DIGEST)
    for moved in (response + b"\0", response[:-1], b"", b"0" * (2**20 + 1)):
        with pytest.raises(InputError):
            read_timestamp(moved, DIGEST)
    with pytest.raises(InputError, match="is not a digest"):
        timestamp_request("sha256:00")


def test_a_stamp_cannot_be_moved_to_another_time(authority: Authority) -> None:
    response = authority.stamp(DIGEST)
    moved = response.replace(b"20261101120005Z", b"20251101120005Z")
    assert read_timestamp(moved, DIGEST).verified is False
    with pytest.raises(InputError, match="does not verify"):
        read_timestamp(moved, DIGEST, roots=[authority.root])


@pytest.mark.parametrize("turned", [False, True])
def test_the_certificates_of_a_stamp_may_come_in_any_order(
    authority: Authority, turned: bool
) -> None:
    chain = [authority.certificate, authority.root][:: -1 if turned else 1]
    response = authority.stamp(DIGEST, certificates=[*chain, authority.root])
    sent = tsp.TimeStampResp.load(response, strict=True)["time_stamp_token"]["content"]
    names = [each.chosen.subject.native["common_name"] for each in sent["certificates"]]
    assert names == [*("Test stamps", "Test root")[:: -1 if turned else 1], "Test root"]
    stamp = read_timestamp(response, DIGEST, roots=[authority.root])
    assert (stamp.tsa, stamp.verified) == ("CN=Test stamps", True)
    with pytest.raises(InputError, match="does not verify"):
        read_timestamp(response, DIGEST, roots=[Authority.make().root])
    other = Authority.make()
    for wrong in ([other.certificate], [authority.root], [other.root, other.certificate]):
        with pytest.raises(InputError, match="does not verify|cannot be read"):
            swapped = authority.stamp(DIGEST, certificates=wrong)
            read_timestamp(swapped, DIGEST, roots=[authority.root])


OPENSSL = """
[req]
distinguished_name = name
[name]
[root]
basicConstraints = critical,CA:true
[between]
basicConstraints = critical,CA:true
[stamps]
extendedKeyUsage = critical,timeStamping
[tsa]
serial = serial
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
ess_cert_id_alg = sha256
"""


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here")
@pytest.mark.parametrize("chain", ["between root", "root between"])
def test_openssl_stamps_with_its_whole_chain(tmp_path: Path, chain: str) -> None:
    def openssl(*arguments: str) -> None:
        done = subprocess.run(
            ["openssl", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    (tmp_path / "o.cnf").write_text(OPENSSL)
    (tmp_path / "serial").write_text("01\n")
    for name, issuer in (("root", None), ("between", "root"), ("stamps", "between")):
        openssl("ecparam", "-genkey", "-noout", "-name", "prime256v1", "-out", f"{name}.key")
        openssl("req", "-new", "-key", f"{name}.key", "-subj", f"/CN={name}", "-config", "o.cnf",
                "-out", f"{name}.csr")  # fmt: skip
        signer = ["-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key"] if issuer else [
            "-signkey", f"{name}.key"]  # fmt: skip
        openssl("x509", "-req", "-in", f"{name}.csr", *signer, "-set_serial", "7", "-days", "9",
                "-extfile", "o.cnf", "-extensions", name, "-out", f"{name}.pem")  # fmt: skip
    sent = "".join((tmp_path / f"{name}.pem").read_text() for name in chain.split())
    (tmp_path / "chain.pem").write_text(sent)
    (tmp_path / "q.tsq").write_bytes(timestamp_request(DIGEST))
    openssl("ts", "-reply", "-config", "o.cnf", "-section", "tsa", "-queryfile", "q.tsq",
            "-signer", "stamps.pem", "-inkey", "stamps.key", "-chain", "chain.pem",
            "-out", "r.tsr")  # fmt: skip
    response = (tmp_path / "r.tsr").read_bytes()
    stamp = read_timestamp(response, DIGEST, roots=read_roots(tmp_path / "root.pem"))
    assert (stamp.tsa, stamp.verified) == ("CN=stamps", True)
    with pytest.raises(InputError, match="does not verify"):
        read_timestamp(response, DIGEST, roots=[Authority.make().root])
    with pytest.raises(InputError, match="another digest"):
        read_timestamp(response, "sha256:" + "00" * 32)


@pytest.fixture(scope="module")
def response(authority: Authority) -> bytes:
    return authority.stamp(DIGEST)


@given(data=st.data())
def test_a_stamp_with_any_bytes_changed_is_refused_or_says_the_same(
    authority: Authority, response: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(response) - 1))
    cut = data.draw(st.integers(0, 3))
    changed = response[:at] + data.draw(st.binary(max_size=3)) + response[at + cut :]
    try:
        stamp = read_timestamp(changed, DIGEST, roots=[authority.root])
    except InputError:
        return
    assert (stamp.time, stamp.verified) == ("2026-11-01T12:00:05Z", True)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    with pytest.raises(InputError):
        read_timestamp(data, DIGEST)


def test_roots_come_from_a_pem_file(authority: Authority, tmp_path: Path) -> None:
    file = tmp_path / "roots.pem"
    file.write_bytes(authority.root.public_bytes(serialization.Encoding.PEM) * 2)
    assert read_roots(file) == (authority.root, authority.root)
    file.write_bytes(b"nothing")
    with pytest.raises(InputError, match="no certificates"):
        read_roots(file)


def test_a_missing_library_names_the_extra(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    with pytest.raises(MissingExtraError, match=r"auditor\[timestamp\]"):
        read_timestamp(authority.stamp(DIGEST), DIGEST)


def test_a_run_carries_the_stamp_of_its_entry_0(authority: Authority, tmp_path: Path) -> None:
    frame = pd.DataFrame({"sex": ["F", "M"] * 20, "y": [0, 1] * 20, "p": [0, 1, 1, 0] * 10})
    root = tmp_path / "root.pem"
    root.write_bytes(authority.root.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "other.tsr").write_bytes(authority.stamp(DIGEST))
    with Audit(run=tmp_path / "run") as audit:
        audit.evaluate(predictions=frame, target="y", prediction="p", sensitive=["sex"])
        request = audit.timestamp_request()
        digest = RunRecord.load(tmp_path / "run").ledger.entries[0].digest
        assert request == timestamp_request(digest)
        (tmp_path / "reply.tsr").write_bytes(authority.stamp(digest))
        with pytest.raises(InputError, match="another digest"):
            audit.timestamp(tmp_path / "other.tsr")
        assert audit.timestamp(tmp_path / "reply.tsr").time == "2026-11-01T12:00:05Z"
    result = verify_run(tmp_path / "run", authority=root)
    assert (result.stamped, result.timestamp and result.timestamp.verified) == ("entry 0", True)
    assert verify_run(tmp_path / "run").timestamp is None
    assert verify_run(tmp_path / "run").carries_timestamp
    other = tmp_path / "other.pem"
    other.write_bytes(Authority.make().root.public_bytes(serialization.Encoding.PEM))
    wrong = verify_run(tmp_path / "run", authority=other)
    assert (wrong.exit_code, wrong.faults[0].where) == (1, "entry-0.tsr")
    head = tmp_path / "head.tsr"
    head.write_bytes(authority.stamp(result.integrity.head_digest))
    assert verify_run(tmp_path / "run", timestamp=head).stamped == "head"
    assert not verify_run(tmp_path / "run", timestamp=head).timestamp.verified  # type: ignore[union-attr]
    with pytest.raises(InputError, match="another digest"):
        verify_run(tmp_path / "run", timestamp=tmp_path / "other.tsr")
