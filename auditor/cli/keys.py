"""``auditor keys``: Ed25519 signing keys, and the P-256 keys that sign models."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(help="Signing keys (Ed25519).", no_args_is_help=True, rich_markup_mode=None)


@app.command("new")
def new(
    file: Annotated[Path, typer.Argument(help="Where the private key goes.")],
    passphrase_file: Annotated[
        Path | None,
        typer.Option("--passphrase-file", help="A file whose one line is the passphrase."),
    ] = None,
    no_passphrase: Annotated[
        bool, typer.Option("--no-passphrase", help="Write the private key without encryption.")
    ] = False,
    model_signing: Annotated[
        bool,
        typer.Option("--model-signing", help="Make FILE.p256 too, a P-256 key that signs models."),
    ] = False,
) -> None:
    """Make a signing key: FILE (private, mode 0600) and FILE.pub. Nothing is overwritten.

    The private key is encrypted by a passphrase: of --passphrase-file, of AUDITOR_PASSPHRASE, or
    typed twice. Without one, and without a terminal to ask at, it is not encrypted.

    Example: auditor keys new ~/.auditor/me.key
    """
    from auditor.errors import InputError
    from auditor.ledger.key_files import write_key_files
    from auditor.ledger.keys import SigningKey
    from auditor.ledger.model_key import ModelKey, model_key_file
    from auditor.ledger.passphrase import choose_passphrase

    if no_passphrase and passphrase_file is not None:
        raise InputError("--no-passphrase and --passphrase-file exclude each other")
    with _warnings_as_lines():
        passphrase = None if no_passphrase else choose_passphrase(file=passphrase_file)
    key = SigningKey.make(file)
    files = key.files(file, passphrase=passphrase)
    if model_signing:
        files += ModelKey.make().files(file, passphrase=passphrase)
    write_key_files(files)
    typer.echo(f"private key: {file} (keep it)\npublic key:  {file}.pub (give it away)", err=True)
    if model_signing:
        typer.echo(f"model key:   {model_key_file(file)} (keep it), and .pub beside it", err=True)
    if passphrase is None:
        typer.echo(
            "warning: the private key is not encrypted: whoever reads the file can sign with it",
            err=True,
        )
    typer.echo(str(key.verifying_key))


@app.command("show")
def show(
    file: Annotated[Path, typer.Argument(help="A public key file, or a private one.")],
) -> None:
    """Print the public key and its fingerprint; for a model key its PEM and its hint.

    Example: auditor keys show ~/.auditor/me.key.pub
    """
    from auditor.ledger.keys import SigningKey
    from auditor.ledger.model_key import ModelKey, ModelVerifyingKey
    from auditor.ledger.verifying import VerifyingKey, read_key_file

    data = read_key_file(file)
    private = b"PRIVATE KEY" in data
    with _warnings_as_lines():
        if file.suffix == ".p256" or b"-----BEGIN PUBLIC KEY" in data:
            model = ModelKey.load(file).verifying_key if private else ModelVerifyingKey.load(file)
            typer.echo(model.pem.decode(), nl=False)
            typer.echo(f"hint {model.hint}", err=True)
            return
        key = SigningKey.load(file).verifying_key if private else VerifyingKey.load(file)
    typer.echo(str(key))
    typer.echo(f"fingerprint {key.fingerprint}", err=True)


@contextmanager
def _warnings_as_lines() -> Generator[None]:
    """Print a warning about a file as one line, without the line of code that gave it."""
    from auditor.ledger.key_files import KeyFileWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", KeyFileWarning)
        yield
    for warning in caught:
        typer.echo(f"warning: {warning.message}", err=True)
