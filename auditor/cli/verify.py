"""``auditor verify``: chain, signatures, digests, and every verdict computed again; or a proof."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli.options import Json

if TYPE_CHECKING:
    from auditor.verify.proof import ProofVerification

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify", short_help="Is a run intact, and does everything follow?")(verify)


def verify(
    run: Annotated[Path, typer.Argument(help="The folder of a run, or a proof file.")],
    key: Annotated[
        Path | None, typer.Option("--key", help="The public key (FILE.pub) that you trust.")
    ] = None,
    head: Annotated[
        str | None, typer.Option("--head", help="The digest of the tree head that you know.")
    ] = None,
    json: Json = False,
) -> None:
    """Verify a run or a proof: 0 intact and signed by the key, 3 not pinned, 1 anything off.

    Example: auditor verify runs/credit-7 --key auditor.key.pub
    """
    from auditor.cli.show import console, print_json
    from auditor.ledger import VerifyingKey
    from auditor.verify import verify_run
    from auditor.verify.proof import is_proof_file, verify_proof

    trusted = None if key is None else VerifyingKey.load(key)
    if is_proof_file(run):
        _show_proof(verify_proof(run, key=trusted, head=head), json=json)
    result = verify_run(run, key=trusted, head=head)
    if json:
        print_json(result.to_json())
    out = console()
    integrity = result.integrity
    for fault in result.faults:
        out.print(f"✗ {fault.where}: {fault.what}", style="red", markup=False, soft_wrap=True)
    if not result.faults:
        out.print(
            f"✓ intact: {integrity.entries} entries, {result.findings:,} findings and "
            f"{result.rules} rules computed again from the statistics",
            style="green", markup=False, soft_wrap=True,
        )  # fmt: skip
        if result.exit_code == 0:
            out.print(f"✓ signed by {integrity.signer}", style="green", markup=False,
                      soft_wrap=True)  # fmt: skip
        elif integrity.signed:
            out.print(
                f"? signed by {integrity.signer}, which you did not pin: give --key FILE.pub",
                style="yellow", markup=False, soft_wrap=True,
            )  # fmt: skip
        else:
            out.print("? unsigned: anybody could have written this record", style="yellow")
    out.print(f"head {integrity.head_digest}", style="dim", markup=False, soft_wrap=True)
    raise typer.Exit(result.exit_code)


def _show_proof(result: ProofVerification, *, json: bool) -> None:
    """Print what was verified of a proof, and exit."""
    from auditor.cli.show import console, print_json

    if json:
        print_json(result.to_json())
    out = console()
    for fault in result.faults:
        out.print(f"✗ {fault.where}: {fault.what}", style="red", soft_wrap=True)
    if not result.faults:
        out.print("✓ the proof verifies", style="green")
        for sentence in result.sentences():
            out.print(sentence, soft_wrap=True)
        if result.exit_code == 0:
            out.print(f"✓ signed by {result.signer}", style="green", soft_wrap=True)
        elif result.signed:
            out.print(
                f"? signed by {result.signer}, which you did not pin: give --key FILE.pub",
                style="yellow", soft_wrap=True,
            )  # fmt: skip
        else:
            out.print("? unsigned: anybody could have written this record", style="yellow")
    out.print(f"head {result.head_digest or 'unknown'}", style="dim", soft_wrap=True)
    raise typer.Exit(result.exit_code)
