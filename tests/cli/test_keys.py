"""``auditor keys``: made for a terminal and for a script, shown in both kinds."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from auditor.ledger import SigningKey
from auditor.ledger.model_key import ModelKey, ModelVerifyingKey
from auditor.ledger.passphrase import PASSPHRASE_VARIABLE


@pytest.fixture(autouse=True)
def no_passphrase_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSPHRASE_VARIABLE, raising=False)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """A terminal at which these answers are typed; returns the questions."""

    def sit_down(*answers: str) -> list[str]:
        asked: list[str] = []
        waiting = list(answers)

        def answer(question: str) -> str:
            asked.append(question)
            return waiting.pop(0)

        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        monkeypatch.setattr("auditor.ledger.passphrase.getpass", answer)
        return asked

    return sit_down


def test_a_script_without_a_passphrase_gets_a_key_and_a_warning(
    auditor: Any, tmp_path: Path
) -> None:
    made = auditor("keys", "new", "me.key")
    assert made.code == 0
    assert "warning: the private key is not encrypted" in made.err
    assert made.out == (tmp_path / "me.key.pub").read_text()
    assert b"BEGIN PRIVATE KEY" in (tmp_path / "me.key").read_bytes()
    assert auditor("keys", "show", "me.key").out == made.out
    assert auditor("keys", "show", "me.key.pub").out == made.out


@pytest.mark.parametrize("source", ["file", "environment", "terminal"])
def test_a_passphrase_encrypts_the_key(
    auditor: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    terminal: Callable[..., list[str]],
    source: str,
) -> None:
    arguments: list[str] = []
    if source == "file":
        (tmp_path / "secret").write_text("correct horse\n")
        (tmp_path / "secret").chmod(0o600)
        arguments = ["--passphrase-file", "secret"]
    elif source == "environment":
        monkeypatch.setenv(PASSPHRASE_VARIABLE, "correct horse")
    else:
        terminal("correct horse", "correct horse")
    made = auditor("keys", "new", "me.key", *arguments)
    assert made.code == 0
    assert "warning" not in made.err
    pem = (tmp_path / "me.key").read_bytes()
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in pem
    assert stat.S_IMODE((tmp_path / "me.key").stat().st_mode) == 0o600
    assert load_pem_private_key(pem, b"correct horse")  # the library decrypts what we wrote
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "correct horse")
    assert auditor("keys", "show", "me.key").out == made.out
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "wrong horse")
    wrong = auditor("keys", "show", "me.key")
    assert wrong.code == 2
    assert "a wrong passphrase, or a damaged file" in wrong.err


def test_a_terminal_is_asked_twice_to_make_a_key_and_once_to_use_it(
    auditor: Any, terminal: Callable[..., list[str]]
) -> None:
    asked = terminal("a", "a")
    assert auditor("keys", "new", "me.key").code == 0
    assert len(asked) == 2
    asked = terminal("a")
    assert auditor("keys", "show", "me.key").code == 0
    assert asked == ["Passphrase of me.key: "]


@pytest.mark.parametrize(
    ("answers", "complaint"), [(("a", "b"), "differ"), (("",), "an empty passphrase")]
)
def test_a_passphrase_typed_wrongly_makes_no_key(
    auditor: Any,
    tmp_path: Path,
    terminal: Callable[..., list[str]],
    answers: tuple[str, ...],
    complaint: str,
) -> None:
    terminal(*answers)
    made = auditor("keys", "new", "me.key")
    assert made.code == 2
    assert complaint in made.err
    assert not list(tmp_path.iterdir())


def test_no_passphrase_asks_nobody(auditor: Any, terminal: Callable[..., list[str]]) -> None:
    asked = terminal()
    made = auditor("keys", "new", "me.key", "--no-passphrase")
    assert made.code == 0
    assert not asked
    assert "not encrypted" in made.err


def test_the_two_ways_to_say_which_passphrase_exclude_each_other(auditor: Any) -> None:
    both = auditor("keys", "new", "me.key", "--no-passphrase", "--passphrase-file", "x")
    assert both.code == 2
    assert "exclude each other" in both.err


def test_a_model_key_lies_beside_the_signing_key(
    auditor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "a")
    assert auditor("keys", "new", "me.key", "--model-signing").code == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["me.key", "me.key.p256", "me.key.p256.pub", "me.key.pub"]
    assert stat.S_IMODE((tmp_path / "me.key.p256").stat().st_mode) == 0o600
    shown = auditor("keys", "show", "me.key.p256.pub")
    assert shown.out == (tmp_path / "me.key.p256.pub").read_text()
    assert auditor("keys", "show", "me.key.p256").out == shown.out
    public = ModelVerifyingKey.load(tmp_path / "me.key.p256.pub")
    assert f"hint {public.hint}" in shown.err
    key = ModelKey.load(tmp_path / "me.key.p256")
    assert public.verify(key.sign(b"text"), b"text")
    assert not public.verify(key.sign(b"text"), b"another")


def test_four_files_are_written_or_none(auditor: Any, tmp_path: Path) -> None:
    (tmp_path / "me.key.p256").write_text("precious")
    made = auditor("keys", "new", "me.key", "--model-signing")
    assert made.code == 2
    assert "never overwritten" in made.err
    assert [path.name for path in tmp_path.iterdir()] == ["me.key.p256"]


def test_a_key_that_others_can_read_is_named(auditor: Any, tmp_path: Path) -> None:
    auditor("keys", "new", "me.key")
    (tmp_path / "me.key").chmod(0o640)
    shown = auditor("keys", "show", "me.key")
    assert shown.code == 0
    assert "warning: me.key: the private key can be read by others (mode 0640)" in shown.err
    with pytest.warns(UserWarning, match="chmod 600"):
        SigningKey.load(tmp_path / "me.key")
