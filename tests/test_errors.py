from __future__ import annotations

import pytest

from auditor.errors import (
    AuditorError,
    GateClosed,
    InputError,
    MissingExtraError,
    PolicyError,
    RunError,
    nearest,
    one_line,
)


def test_an_error_says_what_where_and_what_would_be_valid() -> None:
    error = InputError("there is no column 'sx'", where="t.csv", valid="did you mean 'sex'?")
    assert str(error) == "t.csv: there is no column 'sx'; did you mean 'sex'?"
    assert (error.what, error.where) == ("there is no column 'sx'", "t.csv")


@pytest.mark.parametrize("kind", [PolicyError, RunError, MissingExtraError])
def test_every_error_of_a_user_is_an_input_error(kind: type[InputError]) -> None:
    assert issubclass(kind, InputError)
    assert issubclass(kind, AuditorError)


def test_a_closed_gate_carries_its_verdict_and_is_no_input_error() -> None:
    verdict = object()
    assert GateClosed("stop", verdict).verdict is verdict
    assert not issubclass(GateClosed, InputError)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("two\nlines", "two\\nlines"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("\udc80", "\\udc80"),
        ("größe", "größe"),
    ],
)
def test_an_error_is_one_printable_line(text: str, line: str) -> None:
    assert str(InputError(text)) == line


def test_long_text_is_cut() -> None:
    assert one_line("x" * 700) == "x" * 599 + "…"


def test_nearest_names_one_word_or_a_few() -> None:
    assert nearest("rcae", ["race", "sex"]) == "did you mean 'race'?"
    assert nearest("zzz", [str(n) for n in range(30)]).endswith("19, …")
    assert nearest("zzz", []) == "there is none"
