"""Estimators of scikit-learn: what they consumed, how they stood before, and looks after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier, SGDRegressor
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

from auditor import Audit, GateClosed, InputError
from auditor.integrations.sklearn import audit_estimator

from .trainings import Task, make_task

CHUNK, EPS = 100, np.finfo(float).eps


@pytest.fixture(scope="module")
def task() -> Task:
    return make_task()


def chunks(task: Task) -> list[tuple[Any, Any]]:
    x, y = task.x.numpy().astype(np.float64), task.y.numpy()
    return [(x[i : i + CHUNK], y[i : i + CHUNK]) for i in range(0, len(x), CHUNK)]


def sgd() -> SGDClassifier:
    return SGDClassifier(loss="log_loss", random_state=0)


def steps_of(audit: Audit) -> Any:
    training: Any = audit._training
    training.observer.drain()
    return training.observer.log.take()


def test_losses_of_partial_fit_are_those_of_the_model_before_the_update(task: Task) -> None:
    parts, losses, model = chunks(task), [], sgd()
    for number, (x, y) in enumerate(parts):
        if number:
            shares = model.predict_proba(x)[np.arange(len(y)), y]
            losses.append(-np.log(shares.clip(EPS, 1 - EPS)))
        model.partial_fit(x, y, classes=[0, 1])
    expected = np.concatenate(losses)
    women = (task.frame.sex == "F").to_numpy()[CHUNK:]
    watched = sgd()
    with task.audit() as audit:
        with audit_estimator(audit, watched):
            for x, y in parts:
                assert watched.partial_fit(x, y, classes=[0, 1]) is watched
        audit.look()
        assert audit.finding("mean_loss").n == 300
        assert audit.finding("mean_loss").value == pytest.approx(expected.mean(), rel=1e-6)
        found = audit.finding("mean_loss", sex="F")
        assert found.value == pytest.approx(expected[women].mean(), rel=1e-6)
        report: Any = audit._cost()
        assert report["steps"] == 4
        assert report["unseen_batches"] == 1
        assert report["differing_labels"] == 0
    assert np.array_equal(watched.coef_, model.coef_)
    assert "partial_fit" not in watched.__dict__


def test_every_call_consumes_the_next_rows_or_those_that_are_given(task: Task) -> None:
    with task.audit() as audit, audit_estimator(audit, model := sgd()):
        for x, y in [*chunks(task), chunks(task)[0]]:
            model.partial_fit(x, y, classes=[0, 1])
        steps = [step.rows.tolist() for step in steps_of(audit)]
        assert steps == [list(range(i, i + 100)) for i in (0, 100, 200, 300, 0)]
    order = np.random.default_rng(0).permutation(400)
    taken = iter(np.split(order, 4))
    with (
        task.audit() as audit,
        audit_estimator(audit, model := sgd(), rows=lambda X, y: next(taken)),
    ):
        for part in np.split(order, 4):
            model.partial_fit(task.x.numpy()[part], task.y.numpy()[part], classes=[0, 1])
        steps = [step.rows.tolist() for step in steps_of(audit)]
        assert steps == [part.tolist() for part in np.split(order, 4)]
        assert audit._cost()["differing_labels"] == 0  # type: ignore[index]


def test_rows_that_are_not_those_of_the_labels_are_counted(task: Task) -> None:
    with task.audit() as audit, audit_estimator(audit, model := sgd()):
        for x, y in reversed(chunks(task)):
            model.partial_fit(x, y, classes=[0, 1])
        steps_of(audit)
        assert audit._cost()["differing_labels"] > 50  # type: ignore[index]


def test_every_chunk_is_a_look_at_the_validation_data(task: Task) -> None:
    x, y = task.x.numpy().astype(np.float64), task.y.numpy()
    model = sgd()
    with task.audit() as audit:
        with audit_estimator(audit, model, validation=(x, y)):
            for part in chunks(task):
                model.partial_fit(*part, classes=[0, 1])
        assert audit._looks == 4
        hits = model.predict(x) == y
        for sex in ("F", "M"):
            found = audit.finding("accuracy", stage="training", sex=sex)
            assert found.value == pytest.approx(hits[(task.frame.sex == sex).to_numpy()].mean())


@pytest.mark.parametrize("kind", [GradientBoostingClassifier, HistGradientBoostingClassifier])
def test_stages_are_read_as_the_model_stood_before_each(task: Task, kind: Any) -> None:
    x, y = task.x.numpy(), task.y.numpy()
    options = {"max_iter": 5} if kind is HistGradientBoostingClassifier else {"n_estimators": 5}
    model = kind(**options, random_state=0)
    with task.audit() as audit:
        with audit_estimator(audit, model):
            model.fit(x, y)
        audit.look()
        stood = list(model.staged_predict_proba(x))[:-1]
        expected = np.mean([log_loss(y, shares) for shares in stood])
        assert audit.finding("mean_loss").value == pytest.approx(expected, rel=1e-6)
        assert audit.finding("mean_loss").n == 4 * 400
        assert audit._cost()["steps"] == 5  # type: ignore[index]


def test_only_so_many_stages_are_read(task: Task) -> None:
    model = GradientBoostingClassifier(n_estimators=20, random_state=0)
    with task.audit() as audit:
        with audit_estimator(audit, model, stages=4):
            model.fit(task.x.numpy(), task.y.numpy())
        audit.look()
        assert audit.finding("mean_loss").n == 3 * 400  # the last one was trained on no more
        assert audit._cost()["steps"] == 20  # type: ignore[index]


@pytest.mark.parametrize("model", [LogisticRegression(), MLPClassifier(max_iter=3)])
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_a_fit_at_once_is_recorded_and_nothing_is_made_up(task: Task, model: Any) -> None:
    with task.audit() as audit:
        with audit_estimator(audit, model):
            model.fit(task.x.numpy(), task.y.numpy())
        epochs = len(getattr(model, "loss_curve_", [0]))
        assert [len(step.rows) for step in steps_of(audit)] == [400] * epochs
        audit.look()
        assert not [f for f in audit.findings if f.metric == "mean_loss" and f.value is not None]
        assert "fit" not in model.__dict__


def test_predictions_without_probabilities_have_errors_and_no_losses(task: Task) -> None:
    model = SGDClassifier(loss="hinge", random_state=0)
    with task.audit() as audit:
        with audit_estimator(audit, model):
            for x, y in chunks(task):
                model.partial_fit(x, y, classes=[0, 1])
        audit.look()
        assert audit.finding("training_error_rate").n == 300
        assert not [f for f in audit.findings if f.metric == "mean_loss" and f.value is not None]


def test_regression_and_classes_with_names(task: Task) -> None:
    x = task.x.numpy().astype(np.float64)
    for kind in ("regression", "multiclass"):
        many = kind == "multiclass"
        y = np.array(["10", "9", "z"])[np.arange(400) % 3] if many else x.sum(axis=1)
        model = sgd() if many else SGDRegressor(random_state=0)
        options = {"classes": ["10", "9", "z"]} if many else {}
        with Audit(budget=1e9) as audit:
            frame = task.frame.assign(y=y)
            audit.data(train=frame, validation=frame, target="y", sensitive=["sex"], task=kind)
            with audit_estimator(audit, model, validation=(x, y)):
                for i in range(0, 400, CHUNK):
                    model.partial_fit(x[i : i + CHUNK], y[i : i + CHUNK], **options)
            predicted = model.predict(x)
            value = (predicted == y).mean() if many else np.abs(predicted - y).mean()
            metric = "accuracy" if many else "mean_absolute_error"
            found = audit.finding(metric, stage="training")
            assert found.value == pytest.approx(value, rel=1e-6)
            assert audit._cost()["fault"] is None  # type: ignore[index]


def test_a_stop_rule_stops_after_the_update_and_leaves_the_estimator(
    task: Task, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "schema: auditor/policy/v1\nid: strict\nversion: 1.0.0\ntitle: Strict\n"
        "rules:\n  - {id: accuracy, metric: accuracy, stage: training, accept: '>= 0.999', "
        "on_fail: stop}\n"
    )
    model = sgd()
    x, y = task.x.numpy().astype(np.float64), task.y.numpy()
    with (
        task.audit(policy=policy) as audit,
        pytest.raises(GateClosed, match="stops the training at look 1"),
        audit_estimator(audit, model, validation=(x, y)),
    ):
        model.partial_fit(x, y, classes=[0, 1])
    assert model.t_ > 1
    assert "partial_fit" not in model.__dict__


def test_what_cannot_be_fitted_is_refused(task: Task) -> None:
    x, _ = make_classification(20)
    with (
        task.audit() as audit,
        pytest.raises(InputError, match="cannot be fitted"),
        audit_estimator(audit, x),
    ):
        pass
