"""Models from files: read without unpickling, or refused."""

from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from auditor import InputError
from auditor.engine.model_files import load_model_file
from auditor.errors import MissingExtraError


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "m.safetensors"
    save_file(torch.nn.Linear(2, 1).state_dict(), path)
    return path


ARGUMENTS = {"in_features": 2, "out_features": 1}


def test_safetensors_with_an_importable_class_predicts(weights: Path) -> None:
    model = load_model_file(
        weights, cls="torch.nn:Linear", arguments=ARGUMENTS, features=["a", "b"]
    )
    frame = pd.DataFrame({"a": [1.0, -2.0], "b": [0.5, 1.0]})
    torch.manual_seed(0)
    with torch.no_grad():
        logits = torch.nn.Linear(2, 1)(torch.tensor(frame.to_numpy("float32")))
    expected = logits.sigmoid().numpy()[:, 0]
    np.testing.assert_allclose(model.predict_proba(frame)[:, 1], expected, rtol=1e-6)
    assert model.predict(frame).tolist() == (expected >= 0.5).astype(int).tolist()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cls": None}, "the class is not named"),
        ({"cls": "torch.nn:Lineal"}, "cannot be made"),
        ({"cls": "no.such:Class"}, "cannot be made"),
        ({"arguments": {}}, "cannot be made"),
        ({"arguments": {"in_features": 3, "out_features": 1}}, "the weights do not fit"),
        ({"features": []}, "the features are not named"),
    ],
)
def test_what_does_not_fit_is_refused(
    weights: Path, changes: dict[str, object], message: str
) -> None:
    given = {"cls": "torch.nn:Linear", "arguments": ARGUMENTS, "features": ["a", "b"]}
    with pytest.raises(InputError, match=message):
        load_model_file(weights, **(given | changes))  # type: ignore[arg-type]


def test_a_damaged_file_is_refused(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:-3])
    with pytest.raises(InputError, match="the weights do not fit"):
        load_model_file(weights, cls="torch.nn:Linear", arguments=ARGUMENTS, features=["a", "b"])


class Payload:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["m.pkl", "m.joblib", "m.pt", "m"])
def test_a_pickle_is_refused_and_never_run(tmp_path: Path, name: str) -> None:
    owned = tmp_path / "owned"
    (tmp_path / name).write_bytes(pickle.dumps(Payload(owned)))
    with pytest.raises(InputError, match="never a pickle"):
        load_model_file(tmp_path / name)
    assert not owned.exists()


@pytest.mark.parametrize(("suffix", "library"), [(".skops", "skops"), (".onnx", "onnxruntime")])
def test_a_missing_library_is_named(tmp_path: Path, suffix: str, library: str) -> None:
    if importlib.util.find_spec(library) is not None:
        pytest.skip(f"{library} is installed")
    path = tmp_path / f"m{suffix}"
    path.write_bytes(b"anything")
    with pytest.raises(MissingExtraError, match=f"pip install {library}"):
        load_model_file(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such model"):
        load_model_file(tmp_path / "m.skops")
