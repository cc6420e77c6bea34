"""The demonstration: a model that a policy stops, the way out, and the two side by side.

It uses the public interface only, on the embedded Adult data; read it as an example.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.engine.audit import Audit
from auditor.errors import AuditorError, GateClosed, RunError
from auditor.evidence import Finding, Slice, Status, Verdict
from auditor.ledger import RunRecord, StateKind, generate_key, state_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import torch
    from numpy.typing import NDArray

    from auditor.datasets.adult import AdultSplit

__all__ = ["COMPARED", "DemoError", "DemoRun", "Progress", "run_demo"]

Progress = Callable[[str, float], None]
"""Told what is being done, and how much of the whole is done (0 to 1)."""

POLICY = "demo-credit"
SYSTEM = {
    "name": "Adult income demonstration",
    "provider": "auditor demo",
    "purpose": "Shows an audit from data to gate. Not a credit model; nobody is scored.",
}
KEY_NOTE = (
    "The signing key was made by the demonstration on this machine. It shows how signatures work "
    "and says nothing about who signed."
)
EPOCHS = 3
COMPARED: tuple[tuple[str, dict[str, str]], ...] = (
    ("selection_rate_ratio", {"sex": "Female"}),
    ("selection_rate_ratio", {"race": "Black"}),
    ("true_positive_rate_difference", {"sex": "Female"}),
    ("accuracy", {}),
    ("auc", {}),
)
"""What the demonstration shows side by side: metric and slice."""


class DemoError(AuditorError):
    """The demonstration did not go as it is described."""


@dataclass(frozen=True)
class DemoRun:
    """One finished run of the demonstration."""

    path: Path
    verdict: Verdict
    findings: tuple[Finding, ...]

    def compared(self) -> list[Finding | None]:
        """Return the findings of :data:`COMPARED`, in order."""
        found = {(f.metric, f.slice): f for f in self.findings if f.stage == "evaluation"}
        return [found.get((metric, Slice(where))) for metric, where in COMPARED]


def run_demo(out: Path, *, seed: int = 0, progress: Progress) -> tuple[DemoRun, DemoRun]:
    """Run the demonstration into ``out/demo-baseline`` and ``out/demo-mitigated``.

    Finished runs of an earlier demonstration are replaced; anything else that is in the way is
    left alone and raises :class:`RunError`.
    """
    folders = [out / "demo-baseline", out / "demo-mitigated"]
    for folder in folders:
        _refuse_others(folder)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    key = out / "demo.key"
    if not key.exists():
        generate_key(key)
    import torch

    from auditor.datasets.adult import load_adult, split_adult

    progress("Loading the embedded data", 0.0)
    split = split_adult(load_adult(), seed=seed)
    threads = torch.get_num_threads()
    # The model is so small that threads wait for each other more than they work.
    torch.set_num_threads(1)
    try:
        baseline, mitigated = (
            _audited(
                folder, split, key=key, seed=seed, mitigate=position == 1,
                progress=lambda text, done, start=position / 2: progress(text, start + done / 2),
            )
            for position, folder in enumerate(folders)
        )  # fmt: skip
    finally:
        torch.set_num_threads(threads)
    progress("Done", 1.0)
    _check_the_show(baseline, mitigated)
    return baseline, mitigated


def _check_the_show(baseline: DemoRun, mitigated: DemoRun) -> None:
    """Raise unless the first gate closed on the selection gap, and the second has none to close."""
    for run, expected in ((baseline, Status.FAIL), (mitigated, Status.PASS)):
        parity = {rule.id: rule.status for rule in run.verdict.rules}["selection-parity"]
        if parity is not expected or run.verdict.status is Status.ERROR:
            raise DemoError(
                f"{run.path}: the rule selection-parity is {parity}, the verdict "
                f"{run.verdict.status}; the demonstration expects {expected} and no error"
            )


def _audited(
    folder: Path, split: AdultSplit, *, key: Path, seed: int, mitigate: bool, progress: Progress
) -> DemoRun:
    import torch

    name = "mitigated" if mitigate else "baseline"
    torch.manual_seed(seed)
    with Audit(
        policy=POLICY, run=folder, seed=seed, key=key, system=SYSTEM, key_note=KEY_NOTE
    ) as audit:
        progress(f"{name}: auditing the data", 0.02)
        audit.data(
            train=split.train, validation=split.validation, test=split.test, target="income",
            positive=">50K", sensitive=["sex", "race"], record_id="id",
        )  # fmt: skip
        inputs = Inputs(split.train)
        weights = _balancing_weights(split.train) if mitigate else None
        train = inputs.loader(split.train, weights=weights, shuffle=True)
        validation, test = inputs.loader(split.validation), inputs.loader(split.test)
        model = _model(inputs.width)
        optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
        criterion = _weighted_loss() if mitigate else torch.nn.BCEWithLogitsLoss()
        model, optimizer, loader = audit.attach(model, optimizer, train, criterion)
        for epoch in range(EPOCHS):
            progress(f"{name}: training, epoch {epoch + 1} of {EPOCHS}", 0.15 + 0.15 * epoch)
            for x, *targets in loader:
                loss = criterion(model(x), *targets)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
            try:
                audit.validate(model, validation)
            except GateClosed:
                break
        progress(f"{name}: evaluating", 0.62)
        if mitigate:
            audit.evaluate(
                predictions=_equalised(model, inputs, split, seed=seed), prediction="decision",
                score="score",
            )  # fmt: skip
        else:
            audit.evaluate(model, test)
        progress(f"{name}: explaining", 0.8)
        audit.explain(model, test, features=inputs.features, samples=200, records=500)
        progress(f"{name}: gate and report", 0.92)
        verdict = audit.gate("pre-deployment", checkpoint=_saved(model, folder))
        audit.report("report.html", "report.md", "report.json")
        findings = audit.findings
    if verdict is None:
        raise RunError("the demonstration has no verdict", where=str(folder))
    return DemoRun(folder, verdict, findings)


class Inputs:
    """Adult as standardised numbers and one-hot categories, with the columns of each feature."""

    def __init__(self, train: pd.DataFrame) -> None:
        import pandas as pd

        self._left_out = ["id", "income", "fnlwgt"]
        encoded = pd.get_dummies(train.drop(columns=self._left_out), dtype="float32")
        self._columns = list(encoded.columns)
        self._mean, self._deviation = encoded.mean(), encoded.std() + 1e-6
        self.width = len(self._columns)
        self.features = {
            name: [i for i, c in enumerate(self._columns) if c == name or c.startswith(f"{name}_")]
            for name in train.columns
            if name not in self._left_out
        }

    def tensor(self, frame: pd.DataFrame) -> torch.Tensor:
        """Return the inputs of a table, ``[rows, width]``."""
        import pandas as pd
        import torch

        encoded = pd.get_dummies(frame.drop(columns=self._left_out), dtype="float32")
        encoded = encoded.reindex(columns=self._columns, fill_value=0.0)
        return torch.tensor(((encoded - self._mean) / self._deviation).to_numpy("float32"))

    def loader(self, frame: pd.DataFrame, *, weights: Any = None, shuffle: bool = False) -> Any:
        """Return a loader of (inputs, label), and the weight of the record where there is one."""
        import torch
        from torch.utils.data import DataLoader, TensorDataset

        columns = [self.tensor(frame), torch.tensor(_labels(frame), dtype=torch.float32)[:, None]]
        if weights is not None:
            columns.append(torch.tensor(weights, dtype=torch.float32)[:, None])
        return DataLoader(TensorDataset(*columns), batch_size=256, shuffle=shuffle)


def _labels(frame: pd.DataFrame) -> NDArray[np.int64]:
    import numpy as np

    return np.asarray(frame["income"] == ">50K", np.int64)


def _groups(frame: pd.DataFrame) -> pd.Series[str]:
    return frame["sex"].astype(str) + ", " + frame["race"].astype(str)


def _balancing_weights(frame: pd.DataFrame) -> NDArray[np.float64]:
    """Weight every record so that group and label are independent (Kamiran and Calders 2012)."""
    import numpy as np
    import pandas as pd

    group, label = _groups(frame), frame["income"].astype(str)
    together = pd.crosstab(group, label, normalize=True)
    expected = np.outer(together.sum(axis=1), together.sum(axis=0))
    ratio = pd.DataFrame(expected, together.index, together.columns) / together
    return np.array([ratio.at[g, y] for g, y in zip(group, label, strict=True)], "float64")


def _model(width: int) -> torch.nn.Module:
    from torch import nn

    return nn.Sequential(
        nn.Linear(width, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 32), nn.ReLU(),
        nn.Linear(32, 1),
    )  # fmt: skip


def _weighted_loss() -> torch.nn.Module:
    import torch

    class WeightedLoss(torch.nn.Module):
        """Binary cross-entropy with a weight for each record."""

        reduction = "mean"

        def forward(self, outputs: Any, labels: Any, weights: Any) -> Any:
            return torch.nn.functional.binary_cross_entropy_with_logits(
                outputs, labels, weight=weights, reduction=self.reduction
            )

    return WeightedLoss()


def _equalised(model: Any, inputs: Inputs, split: AdultSplit, *, seed: int) -> pd.DataFrame:
    """Return the test rows with scores, and decisions at fairlearn's thresholds by group."""
    import numpy as np
    import torch
    from fairlearn.postprocessing import ThresholdOptimizer
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Scored(ClassifierMixin, BaseEstimator):
        """Stands for the trained model: its only feature is the score."""

        classes_ = np.array([0, 1])

        def __sklearn_is_fitted__(self) -> bool:
            return True

        def fit(self, x: Any, y: Any) -> Scored:  # noqa: ARG002 -- scikit-learn's interface
            return self

        def predict(self, x: Any) -> Any:
            return (x[:, 0] >= 0.5).astype(int)

        def predict_proba(self, x: Any) -> Any:
            return np.column_stack([1 - x[:, 0], x[:, 0]])

    def scores(frame: pd.DataFrame) -> NDArray[np.float64]:
        model.eval()
        with torch.no_grad():
            found = model(inputs.tensor(frame)).sigmoid().double().numpy()
        # Three decimals are enough for thresholds, and make far fewer of them to search.
        return found.round(3)

    optimizer = ThresholdOptimizer(
        estimator=Scored(), constraints="demographic_parity", prefit=True,
        predict_method="predict_proba",
    )  # fmt: skip
    optimizer.fit(
        scores(split.train), _labels(split.train), sensitive_features=_groups(split.train)
    )
    found = scores(split.test)
    decisions = optimizer.predict(found, sensitive_features=_groups(split.test), random_state=seed)
    labels = np.where(np.asarray(decisions).astype(int) == 1, ">50K", "<=50K")
    return split.test.assign(score=found[:, 0], decision=labels)


def _saved(model: Any, folder: Path) -> Path:
    from safetensors.torch import save_file

    path = folder.parent / f"{folder.name}.safetensors"
    save_file(model.state_dict(), path)
    return path


def _refuse_others(folder: Path) -> None:
    """Raise unless nothing is in the way but a finished run of an earlier demonstration."""
    state = state_of(folder)
    if state.kind is StateKind.FREE:
        return
    if state.kind is StateKind.FINISHED:
        system = RunRecord.load(folder).run.get("system") or {}
        if system.get("name") == SYSTEM["name"]:
            return
    raise RunError(
        f"{state.detail}; the demonstration replaces only its own finished runs",
        where=str(folder),
        valid="another --out",
    )
