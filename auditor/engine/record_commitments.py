"""The record ids of a run, committed to under its secret key, and the steps that consume them."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from auditor.datasets import Table
from auditor.engine.datasets import RegisteredData
from auditor.engine.recording import Recording
from auditor.ledger.commitments import RECORDS, commit_records
from auditor.ledger.record_key import BY_CONTENT, RecordKey, record_key_file
from auditor.ledger.step_segment import STEPS
from auditor.ledger.steps import FlushedSteps, StepRecorder
from auditor.ledger.trace import chain_start
from auditor.provenance.records import record_digests

__all__ = ["CommittedRecords", "content_ids", "record_ids"]


class CommittedRecords:
    """What makes ``auditor prove`` possible: commitments by split, and the steps of the training.

    Parameters
    ----------
    recording:
        The run, which lies in a folder.
    ids:
        The ids of the records by split, in the order of the rows.
    key_file:
        Where the secret key is kept; beside the run folder where it is ``None``. A key that is
        there is used again: the same id is then the same commitment in both runs, so that whoever
        holds both folders sees which records they share, and still not which these are.
    by_content:
        Whether the ids are digests of the rows (:func:`content_ids`). The key is then committed to
        beside the records, because entry 0 was written before anybody knew of a training.
    places:
        Where the ids of a split stand, for messages.

    Raises :class:`InputError` for a key that cannot be read or written, for ids that repeat, and
    for another key than that of a run that is resumed.
    """

    def __init__(
        self,
        recording: Recording,
        ids: Mapping[str, Sequence[str]],
        *,
        key_file: str | Path | None,
        by_content: bool = False,
        places: Mapping[str, str] | None = None,
    ) -> None:
        self._recording = recording
        self.key_file = Path(key_file).expanduser() if key_file else record_key_file(recording.path)
        if self.key_file.exists():
            self._key, made = RecordKey.load(self.key_file), False
        else:
            self._key, made = RecordKey.generate(), True
        self._extra = (
            {"identified_by": BY_CONTENT, **self._key.registration()} if by_content else {}
        )
        self.splits = {
            split: commit_records(listed, self._key, split=split, where=(places or {}).get(split))
            for split, listed in ids.items()
        }
        if recording.resumption is not None:
            root = None if by_content else self._key.root
            for committed in self.splits.values():
                recording.resumption.check_records(committed.body(), root=root)
        self._made = made
        if made:
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
            self._recording.note(RECORDS, committed.body() | self._extra)

    def recorder(self) -> StepRecorder | None:
        """Return what keeps the records of each training step; ``None`` without training data."""
        if "train" in self.splits:
            resumption = self._recording.resumption
            self._recorder = StepRecorder(
                self.splits["train"],
                chain=chain_start(self._recording.register().digest),
                taken=() if resumption is None else resumption.segments(),
            )
        return self._recorder

    def flush(self) -> None:
        """Write the steps since the last time into the run.

        What cannot be written stays in memory, for the next time.
        """
        if self._recorder is not None:
            self._recorder.flush(self._write)

    def _write(self, steps: FlushedSteps) -> None:
        for name, data in steps.files.items():
            self._recording.folder.write(name, data)
        self._recording.note(STEPS, steps.body)

    def state_dict(self) -> dict[str, Any] | None:
        """Return what a checkpoint keeps of the steps."""
        return None if self._recorder is None else self._recorder.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up the steps of a checkpoint."""
        recorder = self._recorder or self.recorder()
        if recorder is not None:
            recorder.load_state_dict(state)

    def discard(self) -> None:
        """Take a key that was made for this run away again."""
        if self._made:
            with contextlib.suppress(OSError):
                self.key_file.unlink()


def record_ids(data: RegisteredData) -> dict[str, Sequence[str]]:
    """Return the record ids of every split, which the tables have."""
    return {split: data.index(split).ids or () for split in data.tables}


def content_ids(table: Table, schema: Any = None) -> list[str]:
    """Return an id for every row of a table without ids: the digest of its content.

    ``schema`` is that of :meth:`auditor.Audit.data`. Equal rows are numbered in their order: the
    second of them has ``#2`` behind its digest.
    """
    texts = dict.fromkeys(table.columns, "string")
    batches = table.contents() if schema is None else table.records()
    seen: Counter[str] = Counter()
    found: list[str] = []
    for digests in record_digests(batches, texts if schema is None else schema, where=table.name):
        for row in digests:
            digest = f"sha256:{row.tobytes().hex()}"
            seen[digest] += 1
            found.append(digest if seen[digest] == 1 else f"{digest}#{seen[digest]}")
    return found
