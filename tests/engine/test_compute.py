"""The compute of a training in a run: judged, shown, and verified from its statistic."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from auditor import Audit
from auditor.errors import InputError
from auditor.evidence import Stage
from auditor.loop.compute import ComputeMeter
from auditor.provenance.energy import EnergyMeter
from auditor.verify import verify_run


def metered() -> tuple[ComputeMeter, EnergyMeter]:
    model = torch.nn.Linear(4, 1)
    meter, energy = ComputeMeter(model), EnergyMeter(grid_intensity=56, grid_source="RTE, 2024")
    meter.start()
    energy.start()
    for _ in range(4):
        meter.begin_step()
        meter.saw(8)
        model(torch.randn(8, 4)).sum().backward()
        meter.end_step()
    meter.stop()
    return meter, energy


def test_a_run_keeps_its_compute_and_every_number_is_computed_again(tmp_path: Path) -> None:
    weights = tmp_path / "base.safetensors"
    save_file({"w": torch.zeros(2)}, weights)
    frame = pd.DataFrame({"y": [0, 1] * 4, "sex": ["F", "M"] * 4})
    meter, energy = metered()
    with Audit(policy="compute-thresholds", run=tmp_path / "run") as audit:
        base = audit.base_model(weights, compute=1e4)
        audit.data(train=frame, target="y", sensitive=["sex"])
        statistic = meter.statistic(
            energy=energy.read().columns(), base_flops=base["compute"]["flop"]
        )
        audit._recording.measure(
            audit._registered().subject(Stage.FINE_TUNING, counted={statistic.kind: statistic})
        )
        verdict = audit.gate("fine-tuning")
        audit.report("report.html", "report.md")
    assert audit.finding("compute_share_of_base").value == pytest.approx(4 * 2 * 8 * 4 * 2 / 1e4)
    assert audit.finding("device_hours").value is not None
    assert audit.finding("emissions").method is not None
    assert verdict is not None
    assert {rule.id: str(rule.status) for rule in verdict.rules if "modification" in rule.id} == {
        "modification-below-general-purpose-criterion": "pass",
        "modification-below-systemic-risk-presumption": "pass",
        "modification-below-a-third": "pass",
    }
    verified = verify_run(tmp_path / "run")
    assert verified.faults == ()
    assert verified.findings == len(audit.findings)
    assert "Compute" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize("compute", [0, -1.0, float("inf"), float("nan"), "1e24", True])
def test_a_compute_of_the_base_model_that_is_none_is_refused(
    tmp_path: Path, compute: object
) -> None:
    weights = tmp_path / "base.safetensors"
    save_file({"w": torch.zeros(2)}, weights)
    audit = Audit()
    with pytest.raises(InputError, match="compute="):
        audit.base_model(weights, compute=compute)  # type: ignore[arg-type]
    audit.discard()
