"""What is found in sentences, and what looks alike and is not."""

from __future__ import annotations

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.provenance.personal_data import KIND_IDS, Search, select_kinds
from auditor.provenance.personal_data.accounts import IBAN_LENGTHS, iban
from auditor.provenance.personal_data.kinds import KINDS
from auditor.provenance.personal_data.matching import matches

# Made up here, in two parts, so that no scanner of repositories takes them for keys of somebody.
RANDOM = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5"


def found(text: str, *, column: str = "", kinds: tuple[str, ...] = KIND_IDS) -> list[str]:
    search = Search.of(kinds, column=column)
    return [KIND_IDS[match.kind] for match in matches(text.encode(), search)]


JWT = ".".join(
    base64.urlsafe_b64encode(part).decode().rstrip("=")
    for part in (b'{"alg":"HS256","typ":"JWT"}', b'{"sub":"1"}', b"signature-bytes")
)

FOUND = {
    "email": ["Mail jane.doe+x@example.co.uk now", "<a_b@x-y.org>", "mailto:o'neil@example.org"],
    "phone": [
        "+44 20 7946 0958", "call +14155552671.", "(212) 736-5000", "212-736-5000",
        "1-800-273-8255", "Tel.: 030 901820", "mobile 0171/1234567", "phone: 555-1234",
        "teléfono 91 123 45 67",
    ],
    "iban": [
        "GB82 WEST 1234 5698 7654 32", "DE89370400440532013000", "FR1420041010050500013M02606",
        "MT84MALT011000012345MTLCAST001S", "NL91 ABNA 0417 1643 00", "iban no9386011117947",
    ],
    "payment-card": [
        "4111 1111 1111 1111", "card 5555555555554444", "3782 822463 10005", "6011-1111-1111-1117",
    ],
    "us-ssn": ["SSN 536-90-4399", "social security number: 536904399"],
    "uk-nino": ["NI AB123456C", "AB 12 34 56 C"],
    "de-steuer-id": ["Steuer-ID 86 095 742 719", "IdNr.: 86095742719"],
    "fr-nir": ["2 55 08 14 168 025 38"],
    "es-dni": ["DNI 12345678Z", "12345678-Z"],
    "es-nie": ["X1234567L"],
    "it-codice-fiscale": ["CF RSSMRA85T10A562S"],
    "nl-bsn": ["BSN 111222333", "burgerservicenummer: 1112.22.333"],
    "pl-pesel": ["PESEL: 44051401359"],
    "be-national-number": ["85.07.30-033.28", "NISS 85073003328"],
    "pt-nif": ["NIF 123 456 789"],
    "se-personnummer": ["811218-9876", "19811218-9876", "personnummer 8112189876"],
    "fi-hetu": ["131052-308T"],
    "no-fodselsnummer": ["15076500565", "150765 00565"],
    "dk-cpr": ["CPR 070761-4285"],
    "br-cpf": ["529.982.247-25", "CPF 52998224725"],
    "in-aadhaar": ["Aadhaar 2341 2341 2346"],
    "cn-resident-id": ["11010519491231002X"],
    "za-id": ["ID number 8001015009087"],
    "ch-ahv": ["756.9217.0769.85"],
    "ca-sin": ["social insurance number 130-692-544"],
    "ipv4": ["from 93.184.216.34 port", "the DNS server 8.8.8.8", "http://93.184.216.34/x"],
    "ipv6": ["2606:2800:220:1:248:1893:25c8:1946", "[2606:2800:220:1::1]"],
    "mac-address": ["00:1A:2B:3C:4D:5E", "00-1A-2B-3C-4D-5E"],
    "aws-access-key": ["AKIA" + "QWERTYUIOPASDFGH", "key=AKIA" + "QWERTYUIOPASDFGH"],
    "github-token": ["ghp_" + RANDOM, "github_pat_" + RANDOM[:22] + "_" + (RANDOM * 2)[:59]],
    "gitlab-token": ["glpat-" + RANDOM[:20]],
    "slack-token": ["xoxb-" + "123456789012-" + RANDOM[:24]],
    "google-api-key": ["AIza" + RANDOM[:35]],
    "stripe-key": ["sk_live_" + RANDOM[:24], "rk_test_" + RANDOM[:24]],
    "huggingface-token": ["hf_" + RANDOM[:34]],
    "openai-key": ["sk-proj-" + RANDOM, "sk-" + RANDOM],
    "npm-token": ["npm_" + RANDOM],
    "pypi-token": ["pypi-" + "AgEI" + RANDOM * 2],
    "json-web-token": ["Bearer " + JWT],
    "private-key": ["-----BEGIN RSA " + "PRIVATE KEY-----", "-----BEGIN " + "PRIVATE KEY-----"],
    "assigned-secret": ['password = "a8Fk29dLq0Zx71Rt"', "API_KEY: " + RANDOM[:24]],
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in FOUND.items() for text in texts]
)
def test_is_found_in_a_sentence(kind: str, text: str) -> None:
    assert found(text) == [kind]
    assert found(f"Before it, {text}, and after.") == [kind]
    assert found(text, kinds=tuple(k for k in KIND_IDS if k != kind)) != [kind]


def test_every_kind_has_an_example_and_a_source() -> None:
    assert set(FOUND) == set(KIND_IDS)
    assert all(kind.source for kind in KINDS)


@pytest.mark.parametrize(
    "text",
    [
        "@USER said hello", "a@b", "logo@2x.png", "x@y..org", "1 @ 2.50 each", "a@-b.org",
        "GB82 WEST 1234 5698 7654 33", "XX82 WEST 1234 5698 7654 32",
        "4111 1111 1111 1112", "0000 0000 0000 0000", "0.4111111111111111",
        "in 1998-2003", "on 2024-01-31 12:30:45", "1,000,000 people", "10 * 20 = 200",
        "$1000 / 200 phones", "<<1000/200=5>>5", "&#128514;&#128514;", "order #4155552671",
        "version 93.184.216.34", "v1.2.3.4", "Chrome/91.0.4472.124", "section 1.2.3.4",
        "192.168.0.1", "127.0.0.1", "10.0.0.1", "1.2.3.4.5", "300.1.1.1",
        "2001:db8::1", "fe80::1", "12:34:56", "std::vector", "ff:ff:ff:ff:ff:ff",
        "00:00:00:00:00:00", "86095742719", "44051401359", "111222333", "8001015009087",
        "123456789", "070761-4286", "536904399", "2341 2341 2346",
        "AKIA" + "IOSFODNN7EXAMPLE", "sk-" + "x" * 40, "password = changeme_changeme1",
        "password: see-the-other-document", "-----BEGIN CERTIFICATE-----", "eyJhbGciOi.e30.xx",
        "/usr/local/lib/python3.11/site-packages", "https://example.org/a/b/c/d/e/f/g/h",
        "d41d8cd98f00b204e9800998ecf8427e", "f47ac10b-58cc-4372-a567-0e02b2c3d479",
    ],
)  # fmt: skip
def test_what_looks_alike_is_not_found(text: str) -> None:
    assert found(text) == []
    assert found(f"Before it, {text}, and after.") == []


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        ("PESEL", "44051401359", "pl-pesel"),
        ("client_bsn", "111222333", "nl-bsn"),
        ("taxID", "86095742719", "de-steuer-id"),
        ("Phone Number", "2127365000", "phone"),
        ("mobil", "0171 1234567", "phone"),
        ("amount", "2127365000", None),
    ],
)
def test_the_name_of_a_column_is_context(column: str, value: str, kind: str | None) -> None:
    assert found(value, column=column) == ([kind] if kind else [])


def test_of_two_words_the_nearer_one_says_what_it_is() -> None:
    assert found("SSN 536-90-4399, BSN 111222333") == ["us-ssn", "nl-bsn"]
    assert found("BSN 111222333, SSN 111222333") == ["nl-bsn", "us-ssn"]


def test_a_word_in_another_record_is_no_context() -> None:
    assert found("my bsn is\0" + "111222333") == []
    assert found("my bsn is 111222333\0" + "111222333") == ["nl-bsn"]


def test_one_text_is_one_kind() -> None:
    """The digits of an IBAN may satisfy Luhn, and those of a card may be a telephone number."""
    assert found("phone iban DE89370400440532013000") == ["iban"]
    assert found("call 4111 1111 1111 1111") == ["payment-card"]


@given(st.sampled_from(sorted(IBAN_LENGTHS)), st.data())
def test_an_iban_made_from_its_parts_is_one(country: str, data: st.DataObject) -> None:
    length = IBAN_LENGTHS[country] - 4
    alphabet = string.digits + string.ascii_uppercase
    account = data.draw(st.text(alphabet, min_size=length, max_size=length))
    # 98 minus the remainder with 00 in the place of the check digits: ISO 13616-1, annex B.
    number = "".join(str(int(c, 36)) for c in f"{account}{country}00")
    check = f"{98 - int(number) % 97:02d}"
    assert iban(f"{country}{check}{account}")
    assert not iban(f"{country}{(int(check) + 1) % 100:02d}{account}")
    assert not iban(f"{country}{check}{account}0")


def test_kinds_are_chosen_by_name_and_category() -> None:
    assert select_kinds(["national-id", "email"])[0] == "email"
    assert "us-ssn" in select_kinds(["national-id"])
    with pytest.raises(InputError, match="no kind of personal data 'emial'; did you mean 'email'"):
        select_kinds(["emial"])
