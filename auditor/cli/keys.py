"""``auditor keys``: Ed25519 signing keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(help="Signing keys (Ed25519).", no_args_is_help=True, rich_markup_mode=None)


@app.command("new")
def new(file: Annotated[Path, typer.Argument(help="Where the private key goes.")]) -> None:
    """Make a signing key: FILE (private, mode 0600) and FILE.pub. Nothing is overwritten.

    Example: auditor keys new ~/.auditor/me.key
    """
    from auditor.ledger import generate_key

    key = generate_key(file)
    typer.echo(f"private key: {file} (keep it)\npublic key:  {file}.pub (give it away)", err=True)
    typer.echo(str(key))


@app.command("show")
def show(
    file: Annotated[Path, typer.Argument(help="A public key file, or a private one.")],
) -> None:
    """Print the public key and its fingerprint.

    Example: auditor keys show ~/.auditor/me.key.pub
    """
    from auditor.ledger import SigningKey, VerifyingKey

    private = b"PRIVATE KEY" in file.read_bytes()[:100] if file.is_file() else False
    key = SigningKey.load(file).verifying_key if private else VerifyingKey.load(file)
    typer.echo(str(key))
    typer.echo(f"fingerprint {key.fingerprint}", err=True)
