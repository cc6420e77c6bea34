"""A model with an adapter against the one without it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from auditor import Audit, InputError

from .conftest import DATA, Sequences, classifier

peft = pytest.importorskip("peft")

# peft asks models of transformers for an attribute by its old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


def adapted(*, scale: float) -> Any:
    """A classifier whose adapter does something, with a head that is not trained."""
    from auditor.integrations.peft import without_adapter

    config = peft.LoraConfig(target_modules=["query", "value"], r=2)
    torch.manual_seed(1)
    model = peft.get_peft_model(classifier(), config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=scale)
    assert callable(without_adapter)
    return model


def test_the_changes_are_those_of_numpy_and_the_adapter_stays_as_it_was(
    sequences: Sequences,
) -> None:
    from auditor.integrations.peft import compare_base

    model = adapted(scale=3.0)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with Audit() as audit:
        audit.data(test=sequences.frame, **DATA)
        compare_base(audit, model, DataLoader(sequences.items(), batch_size=16))
        model.eval()
        with torch.no_grad():
            tuned = model(input_ids=sequences.ids).logits.argmax(1).numpy()
            with model.disable_adapter():
                base = model(input_ids=sequences.ids).logits.argmax(1).numpy()
        true = sequences.labels.numpy()
        for sex in ("F", "M"):
            mine = (sequences.frame.sex == sex).to_numpy()
            change = audit.finding("error_rate_change", sex=sex)
            wrong = np.mean((tuned != true)[mine]) - np.mean((base != true)[mine])
            assert change.value == pytest.approx(wrong)
            flips = audit.finding("negative_flip_rate", sex=sex)
            assert flips.value == pytest.approx(((base == true) & (tuned != true))[mine].mean())
        assert (base != tuned).any()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_which_weights_are_trained_stays_as_it_was(sequences: Sequences) -> None:
    from auditor.integrations.peft import without_adapter

    model = adapted(scale=1.0)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with without_adapter(model):
        pass
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_a_model_without_adapters_and_a_merged_one_are_refused() -> None:
    from auditor.integrations.peft import without_adapter

    with pytest.raises(InputError, match="a model of peft"), without_adapter(classifier()):
        pass
    model = adapted(scale=1.0)
    model.merge_adapter()
    with pytest.raises(InputError, match="the adapters are merged"), without_adapter(model):
        pass
