"""The recording of a rank that does not record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.engine.recording import Recording
from auditor.evidence import canonical_json, sha256

if TYPE_CHECKING:
    from auditor.checks import Subject
    from auditor.evidence import Finding
    from auditor.ledger import SigningKey

__all__ = ["Followed"]


class Followed(Recording):
    """The recording of a rank that follows: nothing is measured, judged or kept.

    ``path`` is the folder that rank 0 writes. Findings and verdict are those that it told of.
    """

    def __init__(
        self,
        run: str | Path | None,
        *,
        key: SigningKey | None = None,
        resume: bool = False,  # noqa: ARG002 -- rank 0 takes up the record
        **options: Any,
    ) -> None:
        super().__init__(None, key=key, **options)
        self._asked = None if run is None else Path(run)

    @property
    def path(self) -> Path:
        """The folder of the run, which rank 0 writes."""
        return self._asked or self.folder.path

    def note(self, entry: str, body: Mapping[str, Any]) -> None:
        """Keep nothing."""

    def note_early(self, entry: str, body: Mapping[str, Any]) -> None:
        """Keep nothing."""

    def measure(self, subject: Subject, **_: Any) -> tuple[Finding, ...]:  # noqa: ARG002
        """Measure nothing."""
        return ()

    def judge(self, *_: Any, **__: Any) -> None:
        """Judge nothing."""

    def settle(self) -> None:
        """Record nothing."""

    def write_json(self, name: str, document: Any) -> str:  # noqa: ARG002
        """Write nothing; return the digest all the same."""
        return sha256(canonical_json(document))

    def interrupt(self, reason: str) -> None:  # noqa: ARG002
        """End."""
        self.discard()

    def seal(self) -> None:
        """End."""
        self.discard()

    def discard(self) -> None:
        """End, and leave nothing."""
        if not self.closed:
            self.closed = True
            self.ledger.close()
            self._drop_temporary()
