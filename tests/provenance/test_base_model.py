from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from auditor.errors import InputError
from auditor.evidence import canonical_json
from auditor.provenance import base_model_manifest, file_digest

CARD = """---
license: apache-2.0
datasets:
- wikipedia
- c4
base_model: someone/base
---
# A model
"""


def write_json(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder as Hugging Face lays it out: two shards, a tokenizer, a card."""
    folder = tmp_path / "tiny"
    write_json(folder / "config.json", {"architectures": ["TinyLM"], "model_type": "tiny"})
    write_json(folder / "tokenizer.json", {"version": "1.0"})
    write_json(folder / "tokenizer_config.json", {})
    first = {"a": torch.zeros(3, 4), "b": torch.zeros(5, dtype=torch.bfloat16)}
    second = {"c": torch.zeros(2, 2, dtype=torch.int8)}
    save_file(first, folder / "model-1.safetensors")
    save_file(second, folder / "model-2.safetensors")
    placed = {"a": "model-1.safetensors", "b": "model-1.safetensors", "c": "model-2.safetensors"}
    write_json(folder / "model.safetensors.index.json", {"weight_map": placed})
    (folder / "README.md").write_text(CARD)
    return folder


def test_a_folder_is_described_without_loading_it(model: Path) -> None:
    found = base_model_manifest(model)
    assert found["name"] == "tiny"
    assert found["weights"]["parameters_by_type"] == {"BF16": 5, "F32": 12, "I8": 4}
    assert (found["weights"]["parameters"], found["weights"]["tensors"]) == (21, 3)
    assert found["model"]["architectures"] == ["TinyLM"]
    assert found["licence"] == {"value": ["apache-2.0"], "by": "model-card"}
    assert found["training_data"] == {"value": ["wikipedia", "c4"], "by": "model-card"}
    assert found["base_models"]["value"] == ["someone/base"]
    files = {entry["name"]: entry for entry in found["files"]}
    assert set(files) == {p.name for p in model.iterdir()}
    assert files["config.json"]["digest"] == file_digest(model / "config.json")
    assert str(model.parent) not in canonical_json(found).decode()


def test_what_is_given_takes_the_place_of_the_card(model: Path) -> None:
    found = base_model_manifest(model, licence="mit", training_data=["mine"], name="n")
    assert found["licence"] == {"value": ["mit"], "by": "given"}
    assert found["training_data"] == {"value": ["mine"], "by": "given"}
    assert found["name"] == "n"


@pytest.mark.parametrize(
    ("card", "state"),
    [
        (None, "none"),
        ("# no front matter\n", "read"),
        ("---\nlicense: unknown\n---\n", "read"),
        ("---\nlicense: [\n---\n", "unreadable: it is not YAML"),
        ("---\nlicense: mit\n", "unreadable: it has no end"),
        ("---\n- mit\n---\n", "unreadable: it is no mapping"),
        ("---\na: &x mit\nlicense: *x\n---\n", "unreadable: it has an alias"),
        ("---\nlicense: !!python/object/apply:os.mkdir [x]\n---\n", "unreadable: it is not YAML"),
        ("---\nlicense: 3\n---\n", "read"),
        ("---\n" + "x" * 70_000 + "\n---\n", "unreadable: it has no end within 64 KiB"),
        ("---\n" + "[" * 60_000 + "\n---\n", "unreadable: it is nested deeper than 20"),
    ],
)
def test_an_unknown_licence_says_unknown(card: str | None, state: str, model: Path) -> None:
    (model / "README.md").unlink()
    if card is not None:
        (model / "README.md").write_text(card)
    found = base_model_manifest(model)
    assert found["licence"] == {"value": [], "by": "unknown"}
    assert found["card"] == state


def test_a_licence_by_another_name_is_found(model: Path) -> None:
    (model / "README.md").write_text("---\nlicense: other\nlicense_name: llama3\n---\n")
    assert base_model_manifest(model)["licence"]["value"] == ["llama3"]


def test_tokenizer_and_adapter_have_their_own_place(model: Path) -> None:
    before = base_model_manifest(model)
    config = {
        "base_model_name_or_path": "someone/base", "peft_type": "LORA", "r": 8,
        "target_modules": ["v_proj", "q_proj"],
    }  # fmt: skip
    write_json(model / "adapter" / "adapter_config.json", config)
    save_file({"lora": torch.zeros(8, 2)}, model / "adapter" / "adapter_model.safetensors")
    after = base_model_manifest(model)
    assert after["tokenizer"] == before["tokenizer"]
    assert after["weights"] == before["weights"]
    assert after["digest"] != before["digest"]
    assert after["adapters"] == [
        {
            "folder": "adapter", "base_model": "someone/base", "revision": None, "type": "LORA",
            "rank": 8, "target_modules": ["q_proj", "v_proj"],
            "weights": ["adapter/adapter_model.safetensors"], "parameters": 16,
        }
    ]  # fmt: skip
    (model / "tokenizer.json").write_text("{}")
    assert base_model_manifest(model)["tokenizer"]["digest"] != before["tokenizer"]["digest"]


class Payload:
    """What a malicious file holds: unpickling it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.path),))


def test_pickles_are_named_and_not_opened(model: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    for name in ("pytorch_model.bin", "optimizer.pt", "x.pkl"):
        (model / name).write_bytes(pickle.dumps(Payload(made)))
    found = base_model_manifest(model)
    assert found["not_opened"] == ["optimizer.pt", "pytorch_model.bin", "x.pkl"]
    assert not made.exists()


def test_one_file_is_a_model_too(model: Path) -> None:
    found = base_model_manifest(model / "model-1.safetensors")
    assert [f["name"] for f in found["files"]] == ["model-1.safetensors"]
    assert found["weights"]["parameters"] == 17
    assert (found["model"], found["tokenizer"], found["card"]) == (None, None, "none")


def test_a_snapshot_made_of_links_is_the_same_model(model: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    for file in model.iterdir():
        (snapshot / file.name).symlink_to(file)
    assert base_model_manifest(snapshot)["digest"] == base_model_manifest(model)["digest"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight_map": {"a": "gone.safetensors"}}, "the shard 'gone.safetensors' is not in the"),
        ({"weight_map": {"a": "../tiny/model-1.safetensors"}}, "is not in the folder"),
        ({"weight_map": {"z": "model-1.safetensors"}}, "model-1.safetensors does not hold tensor"),
        ({"weight_map": {"a": "model-1.safetensors"}}, "holds tensor 'b', which the index does"),
        ({"weight_map": 3}, "there is no weight_map"),
        ({}, "there is no weight_map"),
        ([], "the file holds no mapping"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(change: Any, message: str, model: Path) -> None:
    write_json(model / "model.safetensors.index.json", change)
    with pytest.raises(InputError, match=message):
        base_model_manifest(model)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b'{"a":1,"a":2}'])
@pytest.mark.parametrize("name", ["config.json", "adapter_config.json"])
def test_a_damaged_description_is_refused(content: bytes, name: str, model: Path) -> None:
    (model / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: the file is not JSON"):
        base_model_manifest(model)


@pytest.mark.parametrize("name", ["gone", "empty"])
def test_no_model_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no such model|holds no files"):
        base_model_manifest(tmp_path / name)


@pytest.mark.parametrize("name", ["tr.csv", "README.md"])
def test_what_holds_no_weights_is_no_model(name: str, tmp_path: Path) -> None:
    file = tmp_path / "folder" / name
    file.parent.mkdir()
    file.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="the file holds no weights"):
        base_model_manifest(file)
    with pytest.raises(InputError, match="the folder holds no weights"):
        base_model_manifest(file.parent)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"licence": "MITT"}, "^licence=: no licence: .*mitt"),
        ({"licence": ""}, "^licence=: no licence"),
        ({"licence": 5}, "^licence=: 5 is no licence; an SPDX"),
        ({"training_data": 5}, "^training_data=: 5 names no training data; the names"),
        ({"training_data": ["c4", 5]}, "names no training data"),
    ],
)
def test_a_statement_that_cannot_be_used_is_refused(
    given: dict[str, Any], message: str, model: Path
) -> None:
    with pytest.raises(InputError, match=message):
        base_model_manifest(model, **given)


def test_an_unknown_licence_may_be_given(model: Path) -> None:
    # It is no statement: that of the card stands.
    assert base_model_manifest(model, licence="unknown")["licence"]["by"] == "model-card"
    kept = base_model_manifest(model, licence="LicenseRef-in-house", training_data="c4")
    assert kept["licence"] == {"value": ["LicenseRef-in-house"], "by": "given"}
    assert kept["training_data"] == {"value": ["c4"], "by": "given"}
