"""When an authority saw a run: an RFC 3161 response for its head, or for its entry 0."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from auditor.errors import InputError
from auditor.ledger.timestamp import Timestamp, read_response, read_roots, read_timestamp

__all__ = ["check_timestamp"]


def check_timestamp(
    response: str | Path, *, head: str, entry_0: str, authority: str | Path | None = None
) -> tuple[Timestamp, Literal["head", "entry 0"]]:
    """Read a response, and say whether it is for the head or for entry 0.

    A stamp on entry 0 shows that policy, checks and evaluation data were registered before it;
    one on the head that the whole run was. Without ``authority``, a file of root certificates, the
    signature is not checked. Raises :class:`InputError` for a response that cannot be read, that is
    for neither, or whose signature does not hold.
    """
    data = read_response(response)
    roots = None if authority is None else read_roots(authority)
    try:
        return read_timestamp(data, head, roots=roots, where=str(response)), "head"
    except InputError as error:
        try:
            return read_timestamp(data, entry_0, roots=roots, where=str(response)), "entry 0"
        except InputError:
            raise error from None
