"""The state of an audit as a file: everything comes back, and nothing is unpickled."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from auditor import InputError
from auditor.engine.state_files import STATE_FILE, load_state, load_states, save_state

STATE = {
    "looks": 2, "nothing": None, "yes": True, "loss": float("nan"), "far": float("inf"),
    "text": "é", "digest": b"\x00\xff", "numbers": {1: np.arange(3), 2: np.zeros((0, 4))},
    "list": [1.5, [b"", {"deep": np.array([[1.0, np.nan]])}]], "scalar": np.int64(7),
}  # fmt: skip


def test_every_value_comes_back(tmp_path: Path) -> None:
    path = save_state(STATE, tmp_path)
    assert path == tmp_path / STATE_FILE
    found = load_state(tmp_path)
    assert np.isnan(found.pop("loss"))
    assert found["numbers"][1].dtype == np.int64
    assert found["numbers"][2].shape == (0, 4)
    assert np.array_equal(found["list"][1][1]["deep"], [[1.0, np.nan]], equal_nan=True)
    for name in ("looks", "nothing", "yes", "far", "text", "digest", "scalar"):
        assert found[name] == STATE[name]
        assert type(found[name]) is not tuple
    assert [child.name for child in tmp_path.iterdir()] == [STATE_FILE]


def test_the_states_of_all_ranks_are_read_in_their_order(tmp_path: Path) -> None:
    for rank in (1, 0):
        save_state({"rank": rank}, tmp_path, rank=rank, ranks=2)
    assert load_states(tmp_path) == [{"rank": 0}, {"rank": 1}]
    (tmp_path / "auditor-state-00000-of-00002.npz").unlink()
    with pytest.raises(InputError, match="states of 1 of 2 ranks"):
        load_states(tmp_path)
    assert load_states(tmp_path / "absent") == []


def test_a_pickle_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    path.write_bytes(pickle.dumps({"looks": 1}))
    with pytest.raises(InputError, match="not the state of an audit"):
        load_state(path)
    whole = save_state(STATE, path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="not the state of an audit"):
        load_state(path)
    np.savez(path, document=np.frombuffer(b'{"schema": "other", "state": 1}', np.uint8))
    with pytest.raises(InputError, match="auditor/state/v1"):
        load_state(path)


def test_what_a_state_cannot_hold_is_refused(tmp_path: Path) -> None:
    for value in (object(), np.array([object()]), {1, 2}):
        with pytest.raises(InputError, match="numbers, text, bytes, arrays"):
            save_state({"value": value}, tmp_path)
    assert list(tmp_path.iterdir()) == []
