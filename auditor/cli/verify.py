"""``auditor verify``: a run, a promoted checkpoint, a proof, or the signature of a model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli.options import Json

if TYPE_CHECKING:
    from auditor.ledger import Fault, VerifyingKey

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify", short_help="Is a run intact, and does everything follow?")(verify)


def verify(
    run: Annotated[
        Path,
        typer.Argument(
            help="The folder of a run, a promoted checkpoint, a proof, or a model's signature."
        ),
    ],
    key: Annotated[
        Path | None, typer.Option("--key", help="The public key (FILE.pub) that you trust.")
    ] = None,
    head: Annotated[
        str | None, typer.Option("--head", help="The digest of the tree head that you know.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="The model, where RUN is its signature.")
    ] = None,
    timestamp: Annotated[
        Path | None,
        typer.Option(
            "--timestamp",
            help="An RFC 3161 response for the head or entry 0; the run's own by default.",
        ),
    ] = None,
    authority: Annotated[
        Path | None,
        typer.Option("--authority", help="The root certificate of its authority, as PEM."),
    ] = None,
    json: Json = False,
) -> None:
    """Verify a run, a promoted checkpoint, a proof of `auditor prove`, or a model's signature.

    Exit code 0: intact and signed by the key; 3: intact, unsigned or not pinned; 1: anything off.

    Example: auditor verify runs/credit-7 --key auditor.key.pub
    """
    from auditor.errors import InputError
    from auditor.ledger import VerifyingKey
    from auditor.ledger.promoted import is_checkpoint
    from auditor.verify.proof import is_proof_file

    for option, value, fits in (
        ("--model", model, run.suffix == ".sig"),
        ("--timestamp", timestamp, run.is_dir()),
        ("--authority", authority, run.is_dir()),
    ):
        if value is not None and not fits:
            raise InputError("this option does not fit what is verified", where=option,
                             valid="see auditor verify --help")  # fmt: skip
    if run.suffix == ".sig":
        _verify_model(run, model, key, json=json)
    trusted = None if key is None else VerifyingKey.load(key)
    if is_checkpoint(run):
        _verify_checkpoint(run, trusted, json=json)
    if is_proof_file(run):
        _verify_proof(run, trusted, head, json=json)
    if run.is_file():
        raise InputError(
            "neither a proof nor a model's signature", where=str(run),
            valid="the folder of a run, a file of auditor prove, or MODEL.sig",
        )  # fmt: skip
    _verify_run(run, trusted, head, timestamp, authority, json=json)


def _verify_run(
    run: Path,
    key: object,
    head: str | None,
    timestamp: Path | None,
    authority: Path | None,
    *,
    json: bool,
) -> None:
    """Verify a run, print what was found, and exit."""
    from auditor.cli.show import print_json
    from auditor.verify import verify_run

    result = verify_run(run, key=key, head=head, timestamp=timestamp, authority=authority)  # pyright: ignore[reportArgumentType]
    if json:
        print_json(result.to_json())
    integrity = result.integrity
    _say_faults(result.faults)
    if not result.faults:
        _say(
            f"✓ intact: {integrity.entries} entries, {result.findings:,} findings and "
            f"{result.rules} rules computed again from the statistics", "green",
        )  # fmt: skip
        if result.withheld:
            _say(f"? redacted: {result.withheld:,} files and rows are withheld; nothing that "
                 "stands on them was computed again", "yellow")  # fmt: skip
        if result.timestamp is not None:
            stamp = result.timestamp
            said = f"{result.stamped} seen at {stamp.time} by {stamp.tsa}"
            if stamp.verified:
                _say(f"✓ {said}", "green")
            else:
                _say(f"? {said}; its signature was not checked: give --authority", "yellow")
        elif result.carries_timestamp:
            _say("? a time stamp lies in the run: give --authority to check it", "yellow")
        _say_signer(result.exit_code, integrity.signer, signed=integrity.signed)
    _say(f"head {integrity.head_digest}", "dim")
    raise typer.Exit(result.exit_code)


def _verify_proof(file: Path, key: object, head: str | None, *, json: bool) -> None:
    """Verify what a proof says of a record, print it, and exit."""
    from auditor.cli.show import print_json
    from auditor.verify.proof import verify_proof

    result = verify_proof(file, key=key, head=head)  # pyright: ignore[reportArgumentType]
    if json:
        print_json(result.to_json())
    _say_faults(result.faults)
    if not result.faults:
        _say("✓ the proof verifies", "green")
        for sentence in result.sentences():
            _say(sentence)
        _say_signer(result.exit_code, result.signer, signed=result.signed)
    _say(f"head {result.head_digest or 'unknown'}", "dim")
    raise typer.Exit(result.exit_code)


def _verify_model(file: Path, model: Path | None, key: Path | None, *, json: bool) -> None:
    """Verify a model against its signature, print what was found, and exit."""
    from auditor.cli.show import print_json
    from auditor.errors import InputError
    from auditor.ledger.model_signing import verify_model_signature

    if key is None:
        raise InputError(
            "a model's signature says nothing without its key", where="--key",
            valid="--key FILE.p256.pub",
        )  # fmt: skip
    signed = model or file.with_name(file.name.removesuffix(".sig"))
    result = verify_model_signature(file, signed, key)
    if json:
        print_json(
            {"schema": "auditor/model-verification/v1", "exit_code": int(not result.intact),
             **result.model_dump(mode="json")}
        )  # fmt: skip
    _say_faults(result.faults)
    for name in result.unbound:
        _say(f"? {name} is not bound by the signature", "yellow")
    if result.intact:
        _say(f"✓ {result.model}: {result.files:,} files as they were signed by this key", "green")
    raise typer.Exit(0 if result.intact else 1)


def _verify_checkpoint(path: Path, key: VerifyingKey | None, *, json: bool) -> None:
    """Verify a checkpoint against its manifest, print what was found, and exit."""
    from auditor.cli.show import print_json
    from auditor.ledger.promoted import verify_checkpoint

    result = verify_checkpoint(path, key=key)
    if json:
        print_json(result.to_json())
    _say_faults(result.faults)
    manifest = result.manifest
    if not result.faults and manifest is not None:
        judged = "no policy judged it" if manifest.status is None else f"verdict {manifest.status}"
        _say(f"✓ {result.checkpoint}: {len(manifest.files):,} files as they were promoted by run "
             f"{manifest.run}; {judged}", "green")  # fmt: skip
        for warning in manifest.warnings:
            _say(f"? {warning}", "yellow")
        _say_signer(result.exit_code, result.signer, signed=result.signer is not None)
    raise typer.Exit(result.exit_code)


def _say(text: str, style: str | None = None) -> None:
    from auditor.cli.show import console

    console().print(text, style=style, markup=False, soft_wrap=True)


def _say_faults(faults: Iterable[Fault]) -> None:
    for fault in faults:
        _say(f"✗ {fault.where}: {fault.what}", "red")


def _say_signer(exit_code: int, signer: str | None, *, signed: bool) -> None:
    """Say whose signature it is, and whether that is whom the reader trusts."""
    if exit_code == 0:
        _say(f"✓ signed by {signer}", "green")
    elif signed:
        _say(f"? signed by {signer}, which you did not pin: give --key FILE.pub", "yellow")
    else:
        _say("? unsigned: anybody could have written this record", "yellow")
