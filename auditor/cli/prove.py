"""``auditor prove``: was this record trained on? A proof that anybody can check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auditor.cli.options import Json

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("prove", short_help="Was this record trained on? A proof of yes or no.")(prove)


def prove(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    record: Annotated[
        str | None, typer.Argument(help="The id of a record, as the table writes it.")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="The split in question.")] = "train",
    record_key: Annotated[
        Path | None,
        typer.Option("--record-key", help="The run's secret key; RUN.record-key if not given."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The file to write; it must not exist.")
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option("--rows", help="A table without ids: print the digest that names each row."),
    ] = None,
    json: Json = False,
) -> None:
    """Prove that a record is, or is not, among the records to which a run committed.

    The proof opens one of 65,536 keys: it lets its reader test ids of this record's bucket only.

    Where the data had no record ids, a record is named by the digest of its row, sha256:…, and the
    second of equal rows by sha256:…#2. `auditor prove RUN --rows TABLE` prints those of a table.

    Example: auditor prove runs/credit-7 4711 --out proof.json
    """
    from auditor.cli.show import console
    from auditor.errors import InputError
    from auditor.ledger.proofs import format_proof, make_proof, require_split
    from auditor.ledger.record_key import RecordKey, record_key_file
    from auditor.ledger.storage import write_atomically
    from auditor.verify.proof import check_proof

    if (record is None) == (rows is None):
        raise InputError("either a record or --rows", valid="auditor prove RUN RECORD")
    if record is None:
        _print_digests(run, str(rows), split)
        return
    if out is not None and out.exists():
        raise InputError("there is a file already", where=str(out), valid="a new --out")
    if out is not None and out.resolve().is_relative_to(run.resolve()):
        raise InputError(
            "nothing is written into a finished run", where=str(out), valid="an --out outside"
        )
    file = record_key or record_key_file(run)
    require_split(run, split)  # a more helpful complaint than that there is no key
    if not file.is_file():
        raise InputError(
            "there is no record key", where=str(file),
            valid="--record-key FILE; without the key nobody can prove anything",
        )  # fmt: skip
    proof = make_proof(run, record, key=RecordKey.load(file), split=split)
    checked = check_proof(proof)
    if checked.faults:
        first = checked.faults[0]
        raise InputError(f"{first.where}: {first.what}", where=str(run), valid="an intact run")
    data = format_proof(proof)
    if out is not None:
        write_atomically(out, data)
    if json:
        typer.echo(data.decode(), nl=False)
    print_to = console()
    for sentence in checked.sentences():
        print_to.print(sentence, markup=False, soft_wrap=True)
    if not checked.signed:
        print_to.print("The run is unsigned: anybody could have written it.", style="yellow")
    if out is not None:
        print_to.print(
            f"Whoever has the signer's public key checks it: auditor verify {out} --key FILE.pub",
            style="dim", markup=False, soft_wrap=True,
        )  # fmt: skip
    elif not json:
        print_to.print("Nothing was kept: give --out FILE.json.", style="dim")


def _print_digests(run: Path, rows: str, split: str) -> None:
    """Print the names that the rows of a table have where content identifies the records."""
    from auditor.datasets import open_table
    from auditor.engine.record_commitments import content_ids
    from auditor.errors import InputError
    from auditor.ledger import RunRecord

    ledger = RunRecord.load(run, sealed=True).ledger
    bodies = [e.body for e in ledger.of_type("records") if e.body.get("split") == split]
    if not any(body.get("identified_by") == "content" for body in bodies):
        raise InputError(
            f"the records of {split!r} were not identified by content", where=str(run),
            valid="auditor prove RUN RECORD, with the record's own id",
        )  # fmt: skip
    tables = [e.body.get("tables", {}) for e in ledger.of_type("data")]
    schema = next((t[split].get("schema") for t in tables if split in t), None)
    for digest in content_ids(open_table(rows), schema):
        typer.echo(digest)
