"""When an authority saw a run: an RFC 3161 response for its head, or for its entry 0."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from auditor.errors import InputError
from auditor.ledger import Fault
from auditor.ledger.timestamp import Timestamp, read_response, read_roots, read_timestamp

__all__ = ["check_timestamp"]


def check_timestamp(
    response: str | Path, *, head: str, entry_0: str, authority: str | Path | None = None
) -> tuple[Timestamp, Literal["head", "entry 0"], tuple[Fault, ...]]:
    """Read a response, say whether it is for the head or for entry 0, and what is off with it.

    A stamp on entry 0 shows that policy, checks and evaluation data were registered before it;
    one on the head that the whole run was. Without ``authority``, a file of root certificates, the
    signature is not checked. Raises :class:`InputError` for a response that cannot be read, or
    that is for neither.
    """
    data, where = read_response(response), str(response)
    of: Literal["head", "entry 0"] = "head"
    try:
        found = read_timestamp(data, head, where=where)
    except InputError as error:
        try:
            found, of = read_timestamp(data, entry_0, where=where), "entry 0"
        except InputError:
            raise error from None
    if authority is None:
        return found, of, ()
    roots = read_roots(authority)
    try:
        digest = head if of == "head" else entry_0
        return read_timestamp(data, digest, roots=roots, where=where), of, ()
    except InputError as error:
        return found, of, (Fault(where=Path(response).name, what=error.what),)
