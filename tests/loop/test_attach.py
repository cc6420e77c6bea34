"""Observing changes nothing, loses nothing, and never breaks the loop."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from auditor import Audit, GateClosed, InputError
from auditor.metrics.training import DYNAMICS, LOSSES, SERIES

from .conftest import World, make_model, make_world

DATA = {"target": "y", "sensitive": ["sex"], "record_id": "id"}


def train(
    world: World,
    *,
    audit: Audit | None,
    steps: int = 60,
    criterion: torch.nn.Module | None = None,
    loader: DataLoader[Any] | None = None,
    budget_free: bool = True,
) -> tuple[str, torch.Tensor]:
    """Train a while; return the digest of weights and optimizer state, and the random state."""
    torch.manual_seed(7)
    model = make_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    criterion = criterion or torch.nn.BCEWithLogitsLoss()
    loader = loader or world.loader()
    if audit is not None:
        audit.data(train=world.frame, validation=world.frame, test=world.frame, **DATA)
        model, optimizer, loader = audit.attach(model, optimizer, loader, criterion)
    done = 0
    while done < steps:
        for x, y in loader:
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            done += 1
            if done == steps:
                break
        if audit is not None:
            audit.validate(model, world.loader(shuffle=False))
    digest = hashlib.sha256()
    for tensor in model.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    for state in optimizer.state_dict()["state"].values():
        digest.update(state["exp_avg"].numpy().tobytes())
    return digest.hexdigest(), torch.get_rng_state()


def test_weights_and_random_state_are_bit_for_bit_those_without_the_audit(world: World) -> None:
    plain, plain_state = train(world, audit=None)
    with Audit(budget=1e9) as audit:
        audited, audited_state = train(world, audit=audit)
    assert audited == plain
    assert torch.equal(audited_state, plain_state)


@pytest.mark.parametrize("workers", [0, 1])
def test_the_loader_yields_exactly_what_the_given_one_would(world: World, workers: int) -> None:
    def batches(loader: DataLoader[Any]) -> list[Any]:
        torch.manual_seed(3)
        return [part for batch in loader for part in batch]

    given = world.loader(num_workers=workers)
    with Audit() as audit:
        audit.data(train=world.frame, **DATA)
        model = make_model()
        _, _, loader = audit.attach(
            model, torch.optim.SGD(model.parameters()), given, torch.nn.BCEWithLogitsLoss()
        )
        assert isinstance(loader, DataLoader)
        assert len(loader) == len(given)
        assert loader.batch_size == given.batch_size
        for ours, theirs in zip(batches(loader), batches(given), strict=True):
            assert torch.equal(ours, theirs)
            assert type(ours) is type(theirs)


def test_model_and_optimizer_come_back_as_they_were(world: World) -> None:
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters())
    before = dict(model.__dict__)
    with Audit() as audit:
        audit.data(train=world.frame, **DATA)
        criterion = torch.nn.BCEWithLogitsLoss()
        same, optimizer_too, _ = audit.attach(model, optimizer, world.loader(), criterion)
        assert same is model
        assert optimizer_too is optimizer
        assert len(criterion._forward_hooks) == 1
        audit.detach()
        assert len(criterion._forward_hooks) == 0
    assert model.__dict__ == before


def test_losses_by_group_are_those_of_a_naive_loop(world: World) -> None:
    model = make_model().eval()
    criterion = torch.nn.BCEWithLogitsLoss()
    with Audit(budget=1e9) as audit:
        audit.data(train=world.frame, validation=world.frame, **DATA)
        _, _, loader = audit.attach(
            model, torch.optim.SGD(model.parameters()), world.loader(), criterion
        )
        for x, y in loader:
            criterion(model(x), y)
        audit.validate(model, world.loader(shuffle=False))
        losses = torch.nn.functional.binary_cross_entropy_with_logits(
            model(world.x).detach(), world.y, reduction="none"
        )
        for sex in ("F", "M"):
            chosen = losses[torch.tensor((world.frame.sex == sex).to_numpy())]
            finding = audit.finding("mean_loss", sex=sex)
            assert finding.value == pytest.approx(float(chosen.double().mean()), rel=1e-6)
            assert finding.n == len(chosen)


def test_validation_counts_are_those_of_numpy(world: World) -> None:
    model = make_model().eval()
    with torch.no_grad():
        predicted = (model(world.x).sigmoid() >= 0.5).numpy()[:, 0]
    with Audit() as audit:
        audit.data(validation=world.frame, **DATA)
        audit.validate(model, world.loader(shuffle=True))
        for sex in ("F", "M"):
            chosen = (world.frame.sex == sex).to_numpy()
            finding = audit.finding("selection_rate", stage="training", sex=sex)
            assert finding.value == pytest.approx(predicted[chosen].mean(), abs=1e-12)
            assert finding.n == chosen.sum()


class Mapped(Dataset[Any]):
    """Items that carry their id, in an order of their own."""

    def __init__(self, world: World, order: np.ndarray) -> None:
        self.world, self.order = world, order

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, position: int) -> dict[str, Any]:
        row = int(self.order[position])
        return {"x": self.world.x[row], "label": self.world.y[row], "id": row}


class Named(torch.nn.Module):
    """A model that takes the keys of a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = make_model()

    def forward(self, x: torch.Tensor, id: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


def test_items_that_carry_the_record_id_are_matched_by_it(world: World) -> None:
    order = np.random.default_rng(1).permutation(len(world.frame))[:200]
    model = Named().eval()
    with Audit() as audit:
        audit.data(validation=world.frame, **DATA)
        audit.validate(model, DataLoader(Mapped(world, order), batch_size=16))
        women = (world.frame.sex.to_numpy()[order] == "F").sum()
        assert audit.finding("count", stage="training", sex="F").value == women


def test_labels_that_differ_from_the_table_are_refused(world: World) -> None:
    shuffled = world.frame.sample(frac=1.0, random_state=0)
    with (
        pytest.raises(InputError, match="labels differ from the target in .* of 400 records"),
        Audit() as audit,
    ):
        audit.data(validation=shuffled, **DATA)
        audit.validate(make_model(), world.loader())


def test_a_dataset_of_another_length_is_refused(world: World) -> None:
    with (
        pytest.raises(InputError, match="400 items .* 399 rows"),
        Audit() as audit,
    ):
        audit.data(train=world.frame[:-1], **DATA)
        model = make_model()
        audit.attach(
            model, torch.optim.SGD(model.parameters()), world.loader(),
            torch.nn.BCEWithLogitsLoss(),
        )  # fmt: skip


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        yield torch.zeros(4), torch.zeros(1)


@pytest.mark.parametrize(
    ("loader", "criterion", "message"),
    [
        ([1, 2], torch.nn.BCEWithLogitsLoss(), "the loader is a list"),
        (None, torch.nn.functional.binary_cross_entropy_with_logits, "audit.criterion"),
    ],
)
def test_what_cannot_be_attached_says_what_would_be_valid(
    world: World, loader: Any, criterion: Any, message: str
) -> None:
    model = make_model()
    with Audit() as audit:
        audit.data(train=world.frame, **DATA)
        with pytest.raises(InputError, match=message):
            audit.attach(
                model,
                torch.optim.SGD(model.parameters()),
                world.loader() if loader is None else loader,
                criterion,
            )
        if isinstance(criterion, torch.nn.Module):
            assert not criterion._forward_hooks


def test_a_loss_function_becomes_a_module_and_its_losses_are_read(world: World) -> None:
    with Audit(budget=1e9) as audit:
        criterion = audit.criterion(torch.nn.functional.binary_cross_entropy_with_logits)
        train(world, audit=audit, criterion=criterion)
        assert audit.finding("mean_loss", sex="F").n > 0


@pytest.mark.parametrize("steps", [13, 26])
def test_every_record_of_an_epoch_is_counted_once(world: World, steps: int) -> None:
    with Audit(budget=1e9) as audit:
        train(world, audit=audit, steps=steps)
        assert audit.finding("mean_loss").n == 400
        report = audit._training.report()  # type: ignore[union-attr]
        assert report["fraction"] == 1.0
        assert report["unmatched_batches"] == 0


def test_batches_from_elsewhere_are_nobodys(world: World) -> None:
    model = make_model()
    criterion = torch.nn.BCEWithLogitsLoss()
    with Audit(budget=1e9) as audit:
        audit.data(train=world.frame, validation=world.frame, **DATA)
        audit.attach(model, torch.optim.SGD(model.parameters()), world.loader(), criterion)
        for x, y in world.loader():
            criterion(model(x), y)
        report = audit._training.report()  # type: ignore[union-attr]
        assert report["unmatched_batches"] == len(world.loader())


def test_a_fault_in_the_hook_is_recorded_and_breaks_nothing(world: World) -> None:
    def predict(outputs: Any) -> Any:
        raise RuntimeError("a user's mistake")

    model = make_model()
    criterion = torch.nn.BCEWithLogitsLoss()
    with Audit(budget=1e9) as audit:
        audit.data(train=world.frame, **DATA)
        _, _, loader = audit.attach(
            model, torch.optim.SGD(model.parameters()), world.loader(), criterion, predict=predict
        )
        for x, y in loader:
            criterion(model(x), y).backward()
        assert audit._training.report()["fault"] == "RuntimeError: a user's mistake"  # type: ignore[union-attr]


def test_losses_that_are_not_finite_do_not_spoil_the_sums() -> None:
    world = make_world(64)
    world.x[5] = float("nan")
    model = make_model().eval()
    criterion = torch.nn.BCEWithLogitsLoss()
    with Audit(budget=1e9) as audit:
        audit.data(train=world.frame, validation=world.frame, **DATA)
        _, _, loader = audit.attach(
            model, torch.optim.SGD(model.parameters()), world.loader(), criterion
        )
        for x, y in loader:
            criterion(model(x), y)
        statistic = audit._met()[LOSSES]  # type: ignore[index]
        everybody = statistic.values[0]
        assert everybody[statistic.columns.index("records")] == 63
        assert everybody[statistic.columns.index("not_finite")] == 1
        assert np.isfinite(everybody).all()


def test_evaluation_restores_train_mode_and_random_state(world: World) -> None:
    model = make_model().train()
    model[2].eval()
    with Audit() as audit:
        audit.data(test=world.frame, **DATA)
        state = torch.get_rng_state()
        audit.evaluate(model, world.loader(shuffle=False))
        assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert not model[2].training


def test_state_goes_through_a_checkpoint(world: World) -> None:
    def half(audit: Audit, loader_part: slice, state: Any = None) -> Any:
        model, criterion = make_model().eval(), torch.nn.BCEWithLogitsLoss()
        audit.data(train=world.frame, validation=world.frame, **DATA)
        _, _, loader = audit.attach(
            model, torch.optim.SGD(model.parameters()), world.loader(shuffle=False), criterion
        )
        if state is not None:
            audit.load_state_dict(state)
        for position, (x, y) in enumerate(loader):
            if position in range(*loader_part.indices(len(loader))):
                criterion(model(x), y)
        return audit.state_dict()

    with Audit(budget=1e9) as first:
        state = half(first, slice(0, 5))
    with Audit(budget=1e9) as second:
        half(second, slice(5, None), state)
        losses = second._met()[LOSSES]  # type: ignore[index]
        assert losses.values[0][0] == 400


def test_a_sampler_that_repeats_records_counts_each_once(world: World) -> None:
    sampler = [*range(400), *range(50)]
    loader = DataLoader(TensorDataset(world.x, world.y), batch_size=32, sampler=sampler)
    with Audit() as audit:
        audit.data(test=world.frame, **DATA)
        audit.evaluate(make_model(), loader)
        assert audit.finding("count", stage="evaluation").value == 400


def test_an_unknown_group_has_its_losses(world: World) -> None:
    frame = world.frame.assign(sex=world.frame.sex.where(world.frame.index >= 10, None))
    with Audit(budget=1e9) as audit:
        train(World(frame, world.x, world.y), audit=audit, steps=13)
        assert audit.finding("mean_loss", sex=None).n == 10


def test_a_stop_rule_stops_the_training(world: World, tmp_path: Any) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "schema: auditor/policy/v1\nid: strict\nversion: 1.0.0\ntitle: Strict\n"
        "rules:\n  - {id: accuracy, metric: accuracy, stage: training, accept: '>= 0.999', "
        "on_fail: stop}\n"
    )
    with (
        pytest.raises(GateClosed, match="stops the training at look 1") as closed,
        Audit(policy=policy, run=tmp_path / "run") as audit,
    ):
        audit.data(validation=world.frame, **DATA)
        audit.validate(make_model(), world.loader())
    assert closed.value.verdict.status == "fail"
    assert (tmp_path / "run" / "head").exists()


def test_frames_in_pandas_and_arrow_register_the_same(world: World) -> None:
    import pyarrow as pa

    found: list[float] = []
    for table in (world.frame, pa.Table.from_pandas(world.frame)):
        with Audit() as audit:
            audit.data(test=table, **DATA)
            audit.evaluate(make_world_model(), world.loader(shuffle=False))
            found.append(audit.finding("accuracy", stage="evaluation", sex="F").value)
    assert found[0] == found[1]
    assert isinstance(world.frame, pd.DataFrame)


def make_world_model() -> torch.nn.Module:
    torch.manual_seed(0)
    return make_model().eval()


def test_many_groups_are_counted_as_few_are(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a size the joint table is not held, and every family is counted on its own."""
    from auditor.loop import sums

    found: list[Any] = []
    for limit in (sums._MOST_JOINT, 0):
        monkeypatch.setattr(sums, "_MOST_JOINT", limit)
        frame = world.frame.assign(age=np.arange(len(world.frame)) % 5)
        model, criterion = make_world_model(), torch.nn.BCEWithLogitsLoss()
        with Audit(budget=1e9) as audit:
            audit.data(train=frame, target="y", sensitive=["sex", "age"], record_id="id")
            _, _, loader = audit.attach(
                model, torch.optim.SGD(model.parameters()), world.loader(shuffle=False), criterion
            )
            for x, y in loader:
                criterion(model(x), y)
            statistics = audit._met()  # the sums of the look
            found.append({k: s.to_json() for k, s in (statistics or {}).items()})
    assert found[0].keys() == found[1].keys() >= {LOSSES, SERIES, DYNAMICS}
    for kind in (LOSSES, SERIES, DYNAMICS):  # what it took is of no two runs the same
        document = found[0][kind]
        np.testing.assert_allclose(document["rows"], found[1][kind]["rows"], rtol=1e-12)
