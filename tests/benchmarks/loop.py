"""What watching a training costs: the audit, a logger of histograms, and a naive loop by group.

Every way is compared with the bare loop in paired runs that take turns. On an accelerator the step
is that of a transformer of 22 million parameters; without one, that row says so.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from measuring import Row
from torch.utils.data import DataLoader, TensorDataset

from auditor import Audit

Loop = Callable[[Any, Any, Any, Any], float]

_BATCH, _WIDTH = 256, 128


class Workload:
    """A model, its data with groups, and a loop over them."""

    def __init__(self, steps: int, device: str = "cpu") -> None:
        self.steps, self.device = steps, torch.device(device)
        rows = steps * self.batch
        rng = np.random.default_rng(0)
        self.frame = pd.DataFrame(
            {"id": np.arange(rows), "sex": rng.choice(["F", "M"], rows),
             "race": rng.choice(list("ABCDE"), rows), "y": rng.integers(0, 2, rows)}
        )  # fmt: skip
        self.dataset = TensorDataset(self.inputs(rows), torch.tensor(self.frame.y.to_numpy()))
        self.codes = torch.tensor(self.frame.race.map(ord).to_numpy() - ord("A"))

    batch = _BATCH

    def inputs(self, rows: int) -> torch.Tensor:
        return torch.randn(rows, _WIDTH)

    def model(self) -> torch.nn.Module:
        return torch.nn.Sequential(
            torch.nn.Linear(_WIDTH, 512), torch.nn.ReLU(), torch.nn.Linear(512, 512),
            torch.nn.ReLU(), torch.nn.Linear(512, 2),
        )  # fmt: skip

    def parts(self) -> tuple[torch.nn.Module, torch.optim.Optimizer, Any, torch.nn.Module]:
        torch.manual_seed(0)
        model = self.model().to(self.device)
        optimizer = torch.optim.Adam(model.parameters())
        loader: Any = DataLoader(self.dataset, batch_size=self.batch, shuffle=True)
        return model, optimizer, loader, torch.nn.CrossEntropyLoss()

    def loop(
        self, model: Any, optimizer: Any, loader: Any, criterion: Any, after: Any = None
    ) -> float:
        """Train an epoch; return the seconds that it took, the device included."""
        self._wait()
        start = time.perf_counter()
        for number, (inputs, targets) in enumerate(loader, start=1):
            inputs, targets = inputs.to(self.device), targets.to(self.device)
            outputs = model(inputs)
            loss = criterion(outputs, targets)
            loss.backward()
            if after is not None:
                after(number, model, outputs, targets)
            optimizer.step()
            optimizer.zero_grad()
        self._wait()
        return time.perf_counter() - start

    def _wait(self) -> None:
        if self.device.type != "cpu":
            torch.accelerator.synchronize()

    # -- the ways of watching -------------------------------------------------------------------

    def bare(self) -> float:
        return self.loop(*self.parts())

    def audited(self, budget: float = 0.01) -> tuple[float, dict[str, Any]]:
        with Audit(budget=budget) as audit:
            audit.data(train=self.frame, target="y", sensitive=["sex", "race"], record_id="id")
            model, optimizer, loader, criterion = self.parts()
            model, optimizer, loader = audit.attach(model, optimizer, loader, criterion)
            seconds = self.loop(model, optimizer, loader, criterion)
            return seconds, audit._training.report()  # type: ignore[union-attr]

    def histograms(self) -> float:
        """Histogram gradients and parameters every 100 steps, as loggers that watch models do."""
        kept: list[Any] = []

        def after(number: int, model: torch.nn.Module, *_: Any) -> None:
            if number % 100 == 0:
                for name, parameter in model.named_parameters():
                    for kind, values in (("parameter", parameter), ("gradient", parameter.grad)):
                        flat = values.detach().float().flatten()
                        low, high = flat.min().item(), flat.max().item()
                        counts = torch.histc(flat, 64, min=low, max=high).cpu().tolist()
                        kept.append((number, name, kind, low, high, counts))

        return self.loop(*self.parts(), after)

    def naive(self) -> float:
        """Mask every group and ask for its mean loss, batch by batch."""
        kept: list[Any] = []
        codes = self.codes.to(self.device)

        def after(_: int, __: Any, outputs: torch.Tensor, targets: torch.Tensor) -> None:
            losses = torch.nn.functional.cross_entropy(outputs, targets, reduction="none").detach()
            groups = codes[: len(losses)]  # which records they are would have to come with them
            for group in range(5):
                mask = groups == group
                if mask.any():
                    kept.append(losses[mask].mean().item())

        return self.loop(*self.parts(), after)


def _paired(
    workload: Workload, watched: Callable[[], Any], *, pairs: int
) -> tuple[list[float], list[float], list[dict[str, Any]]]:
    workload.bare()
    watched()
    shares: list[float] = []
    plain_seconds: list[float] = []
    reports: list[dict[str, Any]] = []
    for index in range(pairs):
        order = (workload.bare, watched) if index % 2 else (watched, workload.bare)
        first, second = order[0](), order[1]()
        plain, ours = (first, second) if index % 2 else (second, first)
        seconds, report = ours if isinstance(ours, tuple) else (ours, None)
        shares.append(seconds / plain - 1)
        plain_seconds.append(plain)
        reports += [] if report is None else [report]
    return shares, plain_seconds, reports


def watching(way: str, bound: str, *, steps: int, pairs: int, workload: Any = Workload) -> Row:
    """The share of time that a way of watching adds to the loop, as the median of paired runs."""
    work: Workload = workload(steps)
    ways: dict[str, Callable[[], Any]] = {
        "the audit": work.audited,
        "the audit, every batch observed": lambda: work.audited(1e9),
        "histograms of gradients and parameters every 100 steps": work.histograms,
        "a mask and .item() for each of 5 groups": work.naive,
    }
    shares, plain, reports = _paired(work, ways[way], pairs=pairs)
    step = 1e3 * statistics.median(plain) / steps
    row: Row = {
        "what": f"{way}: {type(work).__name__.lower()}, batch {work.batch}, {step:.1f} ms a step",
        "against": "the same loop without (added share)",
        "bound": bound,
        "ratio": statistics.median(shares),
        "spread": [min(shares), max(shares)],
        "theirs_seconds": statistics.median(plain),
        "runs": pairs,
    }
    if reports:
        row["governor_cost"] = statistics.median(r["cost"] for r in reports)
        row["governor_fraction"] = statistics.median(r["fraction"] for r in reports)
    return row


class Transformer(Workload):
    """Fine-tuning an encoder of 22 million parameters on an accelerator, in bfloat16."""

    batch = 64

    def __init__(self, steps: int) -> None:
        super().__init__(steps, torch.accelerator.current_accelerator().type)  # type: ignore[union-attr]

    def inputs(self, rows: int) -> torch.Tensor:
        return torch.randint(0, 30_000, (rows, 128))

    def model(self) -> torch.nn.Module:
        from transformers import BertConfig, BertForSequenceClassification

        config = BertConfig(
            hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
        )
        inner = BertForSequenceClassification(config)

        class Logits(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = inner

            def forward(self, tokens: torch.Tensor) -> torch.Tensor:
                with torch.autocast(tokens.device.type, torch.bfloat16):
                    return self.inner(tokens).logits.float()

        return Logits()


def on_accelerator(*, steps: int, pairs: int) -> Row:
    """The same on an accelerator, where there is one."""
    if not torch.accelerator.is_available():
        return {
            "what": "the audit: fine-tuning a transformer of 22 M parameters on an accelerator",
            "against": "the same loop without (added share)",
            "bound": "<= 0.01",
            "ratio": None,
            "reason": "this machine has no accelerator",
        }
    row = watching("the audit", "<= 0.01", steps=steps, pairs=pairs, workload=Transformer)
    memory = torch.accelerator.memory_stats() if hasattr(torch.accelerator, "memory_stats") else {}
    row["device_memory_peak"] = memory.get("allocated_bytes.all.peak")
    return row


def loop_benchmarks(*, quick: bool) -> list[Callable[[], Row]]:
    """The overhead table."""
    steps, pairs = (100, 3) if quick else (400, 9)
    ways = (
        ("the audit", "<= 0.02"),
        ("the audit, every batch observed", "none"),
        ("histograms of gradients and parameters every 100 steps", "none"),
        ("a mask and .item() for each of 5 groups", "none"),
    )
    return [
        *(
            lambda way=way, bound=bound: watching(way, bound, steps=steps, pairs=pairs)
            for way, bound in ways
        ),
        lambda: on_accelerator(steps=steps, pairs=pairs),
    ]
