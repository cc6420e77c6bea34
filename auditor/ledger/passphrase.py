"""Where the passphrase of a key comes from: a file, ``AUDITOR_PASSPHRASE``, or the terminal.

It is asked for only where the standard input is a terminal, so that a script never hangs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from getpass import getpass
from pathlib import Path

from auditor.errors import InputError
from auditor.ledger.key_files import warn_if_others_read

__all__ = [
    "PASSPHRASE_VARIABLE",
    "ask_passphrase",
    "choose_passphrase",
    "has_terminal",
    "read_passphrase_file",
]

PASSPHRASE_VARIABLE = "AUDITOR_PASSPHRASE"
"""The environment variable that holds the passphrase of the key."""

_LONGEST = 1024


def ask_passphrase(where: str | None, *, environ: Mapping[str, str] | None = None) -> str:
    """Return the passphrase of an existing key, from the environment or else the terminal.

    Raises :class:`InputError` where there is neither.
    """
    given = _from_environment(environ)
    if given is not None:
        return given
    if not has_terminal():
        raise InputError(
            "the private key is encrypted, and there is no passphrase",
            where=where,
            valid=f"{PASSPHRASE_VARIABLE}, or a terminal to ask at",
        )
    return _prompt(f"Passphrase of {where or 'the key'}: ")


def choose_passphrase(
    *, file: str | Path | None = None, environ: Mapping[str, str] | None = None
) -> str | None:
    """Return the passphrase of a key to be made: of a file, the environment, or typed twice.

    ``None`` where there is nothing of the kind and no terminal to ask at: the key will be written
    without encryption, and the caller says so.
    """
    if file is not None:
        return read_passphrase_file(file)
    given = _from_environment(environ)
    if given is not None:
        return given
    if not has_terminal():
        return None
    typed = _prompt("Passphrase for the new key: ")
    if not typed:
        raise InputError("an empty passphrase", valid="a passphrase, or --no-passphrase")
    if _prompt("Once more: ") != typed:
        raise InputError("the two passphrases differ", valid="the same passphrase twice")
    return _checked(typed, where="the terminal")


def read_passphrase_file(path: str | Path) -> str:
    """Return the one line of a file; raises :class:`InputError` for anything else."""
    file = Path(path).expanduser()
    try:
        with file.open("rb") as opened:
            data = opened.read(_LONGEST + 3)
    except OSError as error:
        raise InputError(
            f"the passphrase cannot be read: {error.strerror}", where=str(path)
        ) from None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise InputError("the passphrase is not UTF-8", where=str(path)) from None
    passphrase = _checked(text.removesuffix("\n").removesuffix("\r"), where=str(path))
    warn_if_others_read(file, "the passphrase")
    return passphrase


def has_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin is not None and sys.stdin.isatty()


def _from_environment(environ: Mapping[str, str] | None) -> str | None:
    value = (os.environ if environ is None else environ).get(PASSPHRASE_VARIABLE, "")
    return _checked(value, where=PASSPHRASE_VARIABLE) if value else None


def _checked(passphrase: str, *, where: str) -> str:
    if not passphrase or not passphrase.isprintable() or len(passphrase.encode()) > _LONGEST:
        raise InputError(
            "this is no passphrase", where=where, valid=f"one line of 1 to {_LONGEST} bytes"
        )
    return passphrase


def _prompt(text: str) -> str:
    try:
        return getpass(text)
    except (EOFError, OSError):
        raise InputError(
            "no passphrase was given", valid=f"{PASSPHRASE_VARIABLE}, or a terminal to ask at"
        ) from None
