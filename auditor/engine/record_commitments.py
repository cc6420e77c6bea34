"""The record ids of a run, committed to under its secret key, and the steps that consume them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.engine.datasets import RegisteredData
from auditor.engine.recording import Recording
from auditor.ledger.commitments import RECORDS, RecordCommitments, commit_records
from auditor.ledger.record_key import RecordKey, record_key_file
from auditor.ledger.steps import STEPS, StepRecorder

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CommittedRecords"]


class CommittedRecords:
    """What makes ``auditor prove`` possible: commitments by split, and the steps of the training.

    Parameters
    ----------
    recording:
        The run, which lies in a folder.
    data:
        The registered tables, which have record ids.
    key_file:
        Where the secret key is kept; beside the run folder where it is ``None``. A key that is
        there is used again: the same id is then the same commitment in both runs, so that whoever
        holds both folders sees which records they share, and still not which these are.

    Raises :class:`InputError` for a key that cannot be read or written, and for ids that repeat.
    """

    def __init__(
        self, recording: Recording, data: RegisteredData, *, key_file: str | Path | None
    ) -> None:
        self._recording = recording
        self.key_file = Path(key_file).expanduser() if key_file else record_key_file(recording.path)
        self.splits: Mapping[str, RecordCommitments] = {}
        if self.key_file.exists():
            self._key, self._made = RecordKey.load(self.key_file), False
        else:
            self._key, self._made = RecordKey.generate(), True
        self.splits = {
            split: commit_records(
                data.index(split).ids or (),
                self._key,
                split=split,
                where=table.place("record_id="),
            )
            for split, table in data.tables.items()
        }
        if self._made:
            self._key.save(self.key_file, run=recording.path)
        self._recorder: StepRecorder | None = None

    def registration(self) -> dict[str, str]:
        """Return what entry 0 says of the key."""
        return self._key.registration()

    @property
    def digest_key(self) -> bytes:
        """The key under which values are digested that must not be guessed."""
        return self._key.digest_key()

    def record(self) -> None:
        """Write the commitments of every split into the run."""
        for committed in self.splits.values():
            self._recording.folder.write(committed.name, committed.data())
            self._recording.note(RECORDS, committed.body())

    def recorder(self, *, first: int = 1) -> StepRecorder | None:
        """Return what keeps the records of each training step; ``None`` without training data."""
        if "train" in self.splits:
            self._recorder = StepRecorder(self.splits["train"], first=first)
        return self._recorder

    def flush(self) -> None:
        """Write the steps since the last time into the run."""
        found = None if self._recorder is None else self._recorder.flush()
        if found is not None:
            body, name, data = found
            self._recording.folder.write(name, data)
            self._recording.note(STEPS, body)

    def discard(self) -> None:
        """Take a key that was made for this run away again."""
        if self._made:
            with contextlib.suppress(OSError):
                self.key_file.unlink()
