"""The head of a ledger as a signed note: one spelling, and only the signer's signature."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from auditor.errors import InputError
from auditor.ledger import Head, SigningKey, format_head, parse_head, verify_head

# The example of C2SP tlog-checkpoint.
EXAMPLE = """\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
""".encode()  # noqa: E501 -- a line of the example

HEAD = Head(origin="auditor/run/credit-7", size=42, root=bytes(range(32)))


def test_the_published_example_reads() -> None:
    head, (signature,) = parse_head(EXAMPLE)
    assert (head.origin, head.size) == ("example.com/behind-the-sofa", 20852163)
    assert base64.b64encode(head.root) == b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
    assert signature.name == "example.com/behind-the-sofa"
    assert len(signature.signature) == 64


def test_a_head_without_a_key_ends_with_the_blank_line() -> None:
    root = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    data = format_head(HEAD, None)
    assert data == f"auditor/run/credit-7\n42\n{root}\n\n".encode()
    assert parse_head(data) == (HEAD, ())


def test_a_signature_covers_the_three_lines(key: SigningKey) -> None:
    data = format_head(HEAD, key)
    text, _, line = data.partition(b"\n\n")
    signed = base64.b64decode(line.split()[2])
    assert line.decode().startswith("— me ")
    assert signed[:4] == key.verifying_key.key_id
    assert key.verifying_key.verify(signed[4:], text + b"\n")


@given(
    st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20),
    st.integers(min_value=0, max_value=10**18 - 1),
    st.binary(min_size=32, max_size=32),
)
def test_every_head_reads_back(
    make_key: Callable[..., SigningKey], origin: str, size: int, root: bytes
) -> None:
    key, head = make_key(), Head(origin=origin, size=size, root=root)
    for signer in (key, None):
        assert parse_head(format_head(head, signer))[0] == head
    assert verify_head(format_head(head, key), key.verifying_key) == head


def test_no_single_changed_bit_verifies(key: SigningKey) -> None:
    data = format_head(HEAD, key)
    for at in range(len(data)):
        for bit in range(8):
            altered = bytearray(data)
            altered[at] ^= 1 << bit
            with pytest.raises(InputError):
                verify_head(bytes(altered), key.verifying_key)


@given(st.data())
def test_what_reads_is_what_would_be_written(
    make_key: Callable[..., SigningKey], data: st.DataObject
) -> None:
    """Bytes put in, taken out or doubled anywhere: either refused, or the spelling of a head."""
    note = format_head(HEAD, make_key())
    at = data.draw(st.integers(0, len(note)))
    to = data.draw(st.integers(at, len(note)))
    altered = note[:at] + data.draw(st.sampled_from([b"", b" ", b"\n", b"=", b"0"])) + note[to:]
    try:
        head, signatures = parse_head(altered)
    except InputError:
        return
    assert b"".join([head.text, b"\n", *(item.line for item in signatures)]) == altered


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda note: note.replace("\n", "\r\n"), "control character"),
        (lambda note: note.replace("\n42\n", "\n042\n"), "not a plain number"),
        (lambda note: note.replace("\n42\n", "\n+42\n"), "not a plain number"),
        (lambda note: note.replace("\n42\n", "\n42 \n"), "not a plain number"),
        (lambda note: note.replace("\n42\n", "\n４２\n"), "not a plain number"),
        (lambda note: note.replace("\n42\n", f"\n{10**18}\n"), "not a plain number"),
        (lambda note: note.replace("Hh8=", "Hh9="), "root is not canonical base64"),
        (lambda note: note.replace("Hh8=", "Hh8"), "root is not base64"),
        (lambda note: note.replace("Hh8=", "Hh8= "), "root is not base64"),
        (lambda note: note.replace("Gxwd", "-_wd"), "root is not base64"),
        (lambda note: note.replace("Hh8=\n", "Hh8=\nextension\n"), "three lines"),
        (lambda note: note.replace("auditor/run/credit-7", ""), "origin"),
        (lambda note: note.replace("AAEC", ""), "root has 32 bytes"),
        (lambda note: note + "\n", "three lines"),
        (lambda note: note + "x\n", "not a signature line"),
        (lambda note: note[:-1], "no newline"),
        (lambda note: note.replace("— me ", "-- me "), "not a signature line"),
        (lambda note: note.replace("— me ", "— m e "), "not a signature line"),
        (lambda note: note.replace("— me ", "— m+e "), "not a signature line"),
        (lambda note: note.replace("— me ", "—  me "), "not a signature line"),
        (lambda note: note[: note.index("—")] + "— me AAAA\n", "signature is too short"),
        (lambda note: note + note[note.index("—") :] * 100, "more than 100"),
        (lambda note: note.replace("\n\n", "\n"), "three lines"),
        (lambda note: "", "three lines"),
    ],
)
def test_every_other_spelling_is_refused(
    key: SigningKey, change: Callable[[str], str], complaint: str
) -> None:
    note = format_head(HEAD, key).decode()
    changed = change(note)
    assert changed != note
    with pytest.raises(InputError, match=complaint):
        parse_head(changed.encode())


def test_every_other_base64_of_the_same_signature_is_refused(key: SigningKey) -> None:
    note = format_head(HEAD, key).decode()
    assert note.endswith("=\n")
    last = note[-3]
    same = [
        letter
        for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        if base64.b64decode(f"AA{letter}=") == base64.b64decode(f"AA{last}=")
    ]
    assert len(same) == 4
    for letter in set(same) - {last}:
        with pytest.raises(InputError, match="signature is not canonical base64"):
            parse_head(f"{note[:-3]}{letter}=\n".encode())


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(InputError, match="UTF-8"):
        parse_head(b"\xff" + EXAMPLE)


def test_a_head_by_somebody_else_is_not_the_signers(make_key: Callable[..., SigningKey]) -> None:
    mine, theirs = make_key(), make_key(bytes(32), "them")
    with pytest.raises(InputError, match="not signed by me"):
        verify_head(format_head(HEAD, theirs), mine.verifying_key)
    with pytest.raises(InputError, match="not signed by me"):
        verify_head(format_head(HEAD, None), mine.verifying_key)
    # The same name does not help: the key id tells the two apart.
    namesake = make_key(bytes(32), "me")
    with pytest.raises(InputError, match="not signed by me"):
        verify_head(format_head(HEAD, namesake), mine.verifying_key)


def test_lines_by_witnesses_are_ignored_and_wrong_lines_by_the_signer_are_not(
    make_key: Callable[..., SigningKey],
) -> None:
    mine, witness = make_key(), make_key(bytes(32), "witness")
    signed = format_head(HEAD, mine)
    other = format_head(HEAD, witness).partition(b"\n\n")[2]
    assert verify_head(signed + other, mine.verifying_key) == HEAD
    elsewhere = format_head(Head(origin="x", size=1, root=bytes(32)), mine).partition(b"\n\n")[2]
    with pytest.raises(InputError, match="does not verify"):
        verify_head(signed + elsewhere, mine.verifying_key)


@pytest.mark.parametrize(
    "fields",
    [
        {"origin": ""},
        {"origin": "a\nb"},
        {"origin": "a\u2028b"},
        {"size": -1},
        {"size": 10**18},
        {"root": bytes(31)},
    ],
)
def test_what_is_no_head_cannot_be_made(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Head(**(HEAD.model_dump() | fields))
