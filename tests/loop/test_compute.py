"""The compute of a training: counted at a few steps, and nothing changed by it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from auditor.errors import InputError
from auditor.loop.compute import ComputeMeter, multiplied_parameters, positions_of
from auditor.loop.flops import FlopWindow, is_compiled
from auditor.stats import SliceTable, read_statistic

BATCH, WIDTH, HIDDEN = 16, 8, 12
# Forward 2·m·n·k a layer; backward the same for the weights of each, and for the inputs of all but
# the first, whose inputs need no gradient.
MLP_FLOPS = 2 * BATCH * (2 * WIDTH * HIDDEN + 3 * HIDDEN)


def modes_on() -> int:
    return int(torch._C._len_torch_dispatch_stack())


@pytest.fixture(autouse=True)
def _no_mode_is_left() -> Iterator[None]:
    assert modes_on() == 0
    yield
    assert modes_on() == 0


def mlp() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(WIDTH, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 1)
    )


def train(
    meter: ComputeMeter,
    model: torch.nn.Module,
    steps: int,
    *,
    sizes: Callable[[int], int] = lambda _: BATCH,
    micro: int = 1,
) -> None:
    generator = torch.Generator().manual_seed(1)
    for step in range(steps):
        for _ in range(micro):
            meter.begin_step()
            x = torch.randn(sizes(step), WIDTH, generator=generator)
            meter.saw(len(x))
            model(x).pow(2).mean().backward()
        meter.end_step()


def sums(meter: ComputeMeter) -> dict[str, float]:
    table = meter.statistic()
    return dict(zip(table.columns, table.values[0].tolist(), strict=True))


def test_an_mlp_takes_exactly_what_its_products_take() -> None:
    model = mlp()
    meter = ComputeMeter(model, budget=1.0)
    meter.start()
    train(meter, model, 25)
    meter.stop()
    found = sums(meter)
    assert (found["steps"], found["records"], found["samples"]) == (25, 25 * BATCH, 2)
    assert found["sum:flops"] == 2 * MLP_FLOPS
    assert found["squares:flops"] == 2 * MLP_FLOPS**2
    assert found["products:records"] == 2 * MLP_FLOPS * BATCH
    assert found["records:tokenless"] == found["records"]
    assert meter.report()["method"] == "measured on 2 sampled steps"
    assert meter.report()["flops_by_type"] == {"float32": 2 * MLP_FLOPS}


def test_two_steps_warm_up_before_the_first_is_counted() -> None:
    model = mlp()
    meter = ComputeMeter(model)
    train(meter, model, 2)
    assert sums(meter)["samples"] == 0
    train(meter, model, 1)
    assert sums(meter)["samples"] == 1


@pytest.mark.parametrize(("budget", "samples"), [(0.01, 1), (1.0, 4)])
def test_the_budget_puts_later_counts_off(budget: float, samples: int) -> None:
    now = [0.0]
    model = mlp()
    # A step takes 0.01 seconds, and 5 more where it is counted.
    model.register_forward_hook(lambda *_: now.__setitem__(0, now[0] + 0.01 + 5 * modes_on()))
    meter = ComputeMeter(model, budget=budget, clock=lambda: now[0])
    meter.start()
    train(meter, model, 1200)
    assert sums(meter)["samples"] == samples


def test_accumulation_is_one_step_of_several_micro_batches() -> None:
    model = mlp()
    meter = ComputeMeter(model)
    train(meter, model, 3, micro=4)
    found = sums(meter)
    assert (found["steps"], found["samples"]) == (3, 1)
    assert (found["sum:flops"], found["sum:records"]) == (4 * MLP_FLOPS, 4 * BATCH)


def test_evaluation_within_a_step_is_not_counted() -> None:
    model = mlp()
    meter = ComputeMeter(model)
    for _ in range(3):
        meter.begin_step()
        meter.saw(BATCH)
        with torch.no_grad():
            model(torch.randn(500, WIDTH))
        with meter.paused():
            model[0](torch.randn(500, WIDTH))
        model(torch.randn(BATCH, WIDTH)).sum().backward()
        meter.end_step()
    assert sums(meter)["sum:flops"] == MLP_FLOPS


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_recomputes_and_that_is_counted(reentrant: bool) -> None:
    model = torch.nn.Sequential(mlp(), torch.nn.Linear(1, 1))

    def forward(x: torch.Tensor) -> torch.Tensor:
        return model[1](checkpoint(model[0], x, use_reentrant=reentrant))

    meter = ComputeMeter(model)
    for _ in range(3):
        meter.begin_step()
        meter.saw(BATCH)
        forward(torch.randn(BATCH, WIDTH, requires_grad=True)).sum().backward()
        meter.end_step()
    plain = MLP_FLOPS + 2 * BATCH * WIDTH * HIDDEN + 3 * 2 * BATCH
    again = 2 * BATCH * (WIDTH * HIDDEN + HIDDEN)
    # The kind that is not reentrant stops when it has what the backward pass needs.
    least = plain + 2 * BATCH * WIDTH * HIDDEN
    assert least <= sums(meter)["sum:flops"] <= plain + again


def test_an_exception_in_an_operation_leaves_no_mode_behind() -> None:
    model = mlp()
    meter = ComputeMeter(model)
    train(meter, model, 2)
    meter.begin_step()
    with pytest.raises(RuntimeError, match="shapes"):
        model(torch.randn(3, WIDTH + 1))
    meter.begin_step()  # the step that broke is over, and nothing of it counts
    assert modes_on() == 0
    meter.abandon()
    assert not model._forward_hooks
    assert not model._forward_pre_hooks
    train(meter, model, 10)
    assert sums(meter)["samples"] == 1
    assert sums(meter)["sum:flops"] == MLP_FLOPS


def test_an_exception_of_the_user_is_over_when_the_meter_stops_or_is_gone() -> None:
    model = mlp()
    meter = ComputeMeter(model)
    train(meter, model, 2)
    meter.begin_step()
    assert modes_on() == 1
    meter.stop()
    assert modes_on() == 0
    other = ComputeMeter(model)
    train(other, model, 2)
    other.begin_step()
    assert modes_on() == 1
    del other
    gc.collect()
    assert modes_on() == 0


class Doubling(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen += 1
        return func(*args, **(kwargs or {}))


def test_no_count_where_the_user_has_a_mode_on() -> None:
    model = mlp()
    meter = ComputeMeter(model)
    with Doubling() as mode:
        train(meter, model, 5)
    assert mode.seen
    assert sums(meter)["samples"] == 0
    train(meter, model, 1)
    assert sums(meter)["samples"] == 1


def test_a_mode_that_the_user_leaves_after_the_step_stays_his() -> None:
    model = mlp()
    meter = ComputeMeter(model)
    train(meter, model, 2)
    meter.begin_step()
    with Doubling() as mode:
        meter.saw(BATCH)
        model(torch.randn(BATCH, WIDTH)).sum().backward()
        meter.end_step()
        before = mode.seen
        model(torch.randn(BATCH, WIDTH))
        assert mode.seen > before
    train(meter, model, 1)
    found = sums(meter)
    assert (found["samples"], found["sum:flops"]) == (1, MLP_FLOPS)


def test_compiled_models_are_not_counted_and_say_so() -> None:
    model = mlp()
    compiled = torch.compile(model, backend="eager")
    assert not is_compiled(model)
    assert is_compiled(torch.nn.Sequential(compiled))
    meter = ComputeMeter(compiled)
    for _ in range(4):
        meter.begin_step()
        x = torch.randn(BATCH, WIDTH)
        meter.saw(BATCH, tokens=BATCH)
        compiled(x).sum().backward()
        assert modes_on() == 0
        meter.end_step()
    found = sums(meter)
    assert (found["samples"], found["windows:compiled"]) == (0, 1)
    assert found["flops:6nd"] == 6 * multiplied_parameters(model) * found["tokens"]
    assert meter.report()["method"] == "estimated 6ND"
    assert meter.report()["compiled"]


def trained(make: Callable[[], torch.nn.Module], batch: Callable[[Any], Any], window: bool) -> Any:
    torch.manual_seed(0)
    model = make()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    for _ in range(3):
        counted = FlopWindow()
        if window:
            counted.open()
        batch(model).backward()
        counted.close()
        optimizer.step()
        optimizer.zero_grad()
    return [parameter.detach().clone() for parameter in model.parameters()]


class Recurrent(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.LSTM(4, 5, batch_first=True, dropout=0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)[0]


def convolution() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Dropout(0.3),
        torch.nn.Flatten(), torch.nn.Linear(8 * 36, 4),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("make", "batch"),
    [
        (mlp, lambda m: m(torch.randn(5, WIDTH)).pow(2).mean()),
        (convolution, lambda m: m(torch.randn(5, 3, 8, 8)).pow(2).mean()),
        (Recurrent, lambda m: m(torch.randn(3, 7, 4)).pow(2).mean()),
    ],
)
def test_weights_are_those_of_a_training_that_nobody_counts(make: Any, batch: Any) -> None:
    alone = trained(make, batch, False)
    counted = trained(make, batch, True)
    assert all(torch.equal(a, b) for a, b in zip(alone, counted, strict=True))


def test_what_has_no_formula_is_named() -> None:
    model = Recurrent()
    window = FlopWindow()
    window.open()
    model(torch.randn(3, 7, 4)).sum().backward()
    assert window.close()
    assert any("rnn" in name or "lstm" in name for name in window.unknown) or window.flops


def test_mixed_precision_is_told_by_the_types_of_the_products() -> None:
    model = mlp()
    window = FlopWindow()
    window.open()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(torch.randn(BATCH, WIDTH)).float().sum()
    loss.backward()
    window.close()
    assert set(window.by_type) == {"bfloat16"}
    assert window.flops == MLP_FLOPS


def transformer(kind: str) -> tuple[Any, int]:
    transformers = pytest.importorskip("transformers")
    if kind == "llama":
        config = transformers.LlamaConfig(
            vocab_size=256, hidden_size=64, intermediate_size=172, num_hidden_layers=3,
            num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=False,
        )  # fmt: skip
        return transformers.LlamaForCausalLM(config), 256 * 64
    config = transformers.BertConfig(
        vocab_size=256, hidden_size=64, intermediate_size=256, num_hidden_layers=3,
        num_attention_heads=4,
    )  # fmt: skip
    return transformers.BertForMaskedLM(config), (512 + 2) * 64


@pytest.mark.parametrize("kind", ["llama", "bert"])
def test_a_transformer_takes_about_six_times_parameters_times_tokens(kind: str) -> None:
    torch.manual_seed(0)
    model, looked_up = transformer(kind)
    everything = sum(parameter.numel() for parameter in model.parameters())
    assert multiplied_parameters(model) == everything - looked_up
    meter = ComputeMeter(model)
    ids = torch.randint(0, 256, (4, 32))
    for _ in range(3):
        meter.begin_step()
        batch = {"input_ids": ids, "labels": ids}
        meter.saw(len(ids), positions_of(batch))
        model(**batch).loss.backward()
        meter.end_step()
    found = sums(meter)
    # Attention comes on top of 6ND: 12 · layers · width · length a token, one tenth here.
    assert 1.0 < found["sum:flops"] / (found["flops:6nd"] / 3) < 1.15
    assert meter.unknown == set()


def test_tokens_are_read_off_shapes() -> None:
    ids = torch.zeros(4, 7, dtype=torch.int64)
    assert positions_of({"input_ids": ids, "labels": ids}) == 28
    assert positions_of({"input_ids": ids, "decoder_input_ids": ids[:, :3]}) == 40
    assert positions_of((ids, torch.zeros(4))) == 28
    assert positions_of((torch.randn(4, 7), torch.zeros(4))) is None
    assert positions_of({"x": 1}) is None
    assert positions_of(None) is None
    assert positions_of([]) is None


def test_device_seconds_run_from_start_to_stop_times_the_devices() -> None:
    now = [10.0]
    meter = ComputeMeter(mlp(), devices=4, clock=lambda: now[0])
    now[0] = 12.0
    meter.start()
    now[0] = 15.0
    assert sums(meter)["seconds:device"] == 12.0
    now[0] = 17.0
    meter.stop()
    now[0] = 99.0
    assert sums(meter)["seconds:device"] == 20.0
    assert sums(meter)["devices"] == 4


def test_a_training_that_goes_on_from_a_checkpoint_adds_to_what_was() -> None:
    model = mlp()
    first = ComputeMeter(model)
    train(first, model, 5)
    second = ComputeMeter(model)
    second.load_state_dict(first.state_dict())
    train(second, model, 5)
    whole = ComputeMeter(model, budget=1.0)
    train(whole, model, 10)
    ours, theirs = sums(second), sums(whole)
    assert ours["records"] == theirs["records"] == 10 * BATCH
    assert ours["samples"] == theirs["samples"] == 1


def test_ranks_merge_by_state_as_by_statistic() -> None:
    model = mlp()
    meters = [ComputeMeter(model) for _ in range(3)]
    for number, meter in enumerate(meters):
        meter.start()
        train(meter, model, 3 + number)
        meter.stop()
    tables = [meter.statistic() for meter in meters]
    merged: SliceTable = tables[0].merge(tables[1]).merge(tables[2])
    assert merged == tables[2].merge(tables[0]).merge(tables[1])
    meters[0].merge(meters[1].state_dict())
    meters[0].merge(meters[2].state_dict())
    assert np.allclose(meters[0].statistic().values, merged.values)
    assert merged.values[0][merged.column("devices")] == 3


def test_the_statistic_is_read_back_as_it_was_written() -> None:
    model = mlp()
    meter = ComputeMeter(model)
    train(meter, model, 4)
    table = meter.statistic(energy={"joule:cpu:measured": 5.0}, base_flops=1e9)
    assert read_statistic(table.to_json(), where="here") == table
    document = table.to_json() | {"columns": ["records"]}
    with pytest.raises(InputError, match="other columns"):
        read_statistic(document, where="here")


def test_bad_input_is_refused() -> None:
    model = mlp()
    with pytest.raises(InputError, match="0 devices"):
        ComputeMeter(model, devices=0)
    with pytest.raises(InputError, match="budget"):
        ComputeMeter(model, budget=-0.1)
    meter = ComputeMeter(model)
    with pytest.raises(InputError, match="compute is -1"):
        meter.statistic(base_flops=-1.0)
    with pytest.raises(InputError, match="no energy"):
        meter.statistic(energy={"records": 3.0})
    with pytest.raises(InputError, match="state"):
        meter.load_state_dict({"sums": {}})
    with pytest.raises(InputError, match="state"):
        meter.merge({})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no accelerator")
def test_the_backward_pass_on_an_accelerator_is_counted_from_its_own_thread() -> None:
    model = mlp().cuda()
    window = FlopWindow()
    window.open()
    model(torch.randn(BATCH, WIDTH, device="cuda")).sum().backward()
    assert window.close()
    assert window.flops == MLP_FLOPS
