"""Keys and tokens that open something."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections import Counter

from auditor.provenance.personal_data.kind import Kind

__all__ = ["SECRETS", "entropy", "json_web_token"]

_RIGHT = rb"(?![A-Za-z0-9_+/-])"
_NAMED = re.compile(
    r"(?:api[_-]?key|secret|token|passw(?:or)?d|access[_-]?key|auth)[\w-]{0,16}[\"']?\s{0,3}"
    r"(?:=|:|=>)\s{0,3}[\"']?$", re.IGNORECASE,
)  # fmt: skip
_PLACEHOLDER = re.compile(r"x{5}|your|example|changeme|placeholder|dummy|<|>|\$\{", re.IGNORECASE)


def entropy(text: str) -> float:
    """Return Shannon's entropy of the characters in bits each.

    >>> entropy("aaaa"), entropy("abcd")
    (0.0, 2.0)
    """
    counts = Counter(text).values()
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts) + 0.0


def json_web_token(value: str) -> bool:
    """Whether the header decodes to a JSON object that names an algorithm (RFC 7515, section 4).

    >>> json_web_token("eyJhbGciOiJIUzI1NiJ9.e30.c2ln"), json_web_token("eyJhbGciOiJIUzI1.e30.c2ln")
    (True, False)
    """
    part = value.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(header, dict) and "alg" in header


def _random(value: str) -> bool:
    """Whether it looks drawn at random: a word, a path or a placeholder does not."""
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return mixed and entropy(value) >= 3.5 and not _PLACEHOLDER.search(value)


def _assigned(_: str, before: str) -> bool:
    return bool(_NAMED.search(before))


def _token(value: str) -> bool:
    return entropy(value) >= 3.0 and not _PLACEHOLDER.search(value)


def _kind(name: str, title: str, prefix: bytes, rest: bytes, source: str) -> Kind:
    # What may not stand before is asked behind the prefix: a pattern that begins with a literal is
    # searched for many times faster than one that begins with an assertion.
    written = prefix + rb"(?<![A-Za-z0-9_+/-]" + prefix + b")" + rest + _RIGHT
    return Kind(name, title, "secret", "token", written, _token, source)


SECRETS = (
    _kind("aws-access-key", "AWS access key id", rb"A(?:KIA|SIA|BIA|CCA)", rb"[A-Z2-7]{16}",
          "AWS IAM User Guide, unique identifiers"),
    _kind("github-token", "GitHub token", rb"gh[pousr]_", rb"[A-Za-z0-9]{36,251}",
          "GitHub, authentication token formats (2021)"),
    _kind("github-token", "GitHub token", rb"github_pat_", rb"[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
          "GitHub, authentication token formats (2021)"),
    _kind("gitlab-token", "GitLab token", rb"glpat-", rb"[A-Za-z0-9_-]{20,60}",
          "GitLab, token prefixes"),
    _kind("slack-token", "Slack token", rb"xox[abeoprs]-", rb"[0-9A-Za-z-]{10,250}",
          "Slack, token types"),
    _kind("google-api-key", "Google API key", rb"AIza", rb"[0-9A-Za-z_-]{35}",
          "Google Cloud, API keys"),
    _kind("stripe-key", "Stripe key", rb"sk_", rb"(?:live|test)_[0-9A-Za-z]{16,247}",
          "Stripe, API keys"),
    _kind("stripe-key", "Stripe key", rb"rk_", rb"(?:live|test)_[0-9A-Za-z]{16,247}",
          "Stripe, API keys"),
    _kind("huggingface-token", "Hugging Face token", rb"hf_", rb"[A-Za-z0-9]{34,40}",
          "Hugging Face, user access tokens"),
    _kind("openai-key", "OpenAI-like key", rb"sk-", rb"[A-Za-z0-9_-]{20,250}",
          "OpenAI and Anthropic, API keys"),
    _kind("npm-token", "npm token", rb"npm_", rb"[A-Za-z0-9]{36}", "npm, access tokens"),
    _kind("pypi-token", "PyPI token", rb"pypi-AgEI", rb"[A-Za-z0-9_-]{50,250}", "PyPI, API tokens"),
    Kind("json-web-token", "JSON web token", "secret", "token",
         rb"eyJ(?<![A-Za-z0-9_.-]eyJ)[A-Za-z0-9_-]{8,1000}\.[A-Za-z0-9_-]{2,2000}"
                    rb"\.[A-Za-z0-9_-]{2,1000}(?![A-Za-z0-9_-])",
         json_web_token, "RFC 7519"),
    Kind("private-key", "Private key", "secret", "marker",
         rb"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----",
         lambda _: True, "RFC 7468, section 10; RFC 9580, section 6.2"),
    Kind("assigned-secret", "Secret that is assigned to a name", "secret", "token",
         rb"[=:]>?[ \t]{0,3}[\"']?(?!//)([A-Za-z0-9_+/.~-]{16,200}={0,2})"
                    rb"(?![A-Za-z0-9_+/=.~-])",
         _random, "Shannon entropy of 3.5 bits a character and more, beside the name of a secret",
         fits=_assigned),
)  # fmt: skip
