"""What the machine was, whoever made its devices."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from auditor.evidence import canonical_json
from auditor.provenance.machine import accelerators, machine, numerics, torch_build


def test_the_machine_is_canonical_and_names_its_processor() -> None:
    found = machine()
    assert canonical_json(found)
    assert found["cores"] >= found["usable_cores"] >= 1
    assert found["system"].startswith(os.uname().sysname)
    assert found["cpu_model"]


def test_what_rounds_is_recorded() -> None:
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        found = numerics()
    finally:
        torch.use_deterministic_algorithms(before)
    assert found is not None
    assert found["default_type"] == "float32"
    assert found["matmul_precision"] in {"highest", "high", "medium"}
    assert found["deterministic_algorithms"] is True
    assert any(name.endswith("allow_tf32") for name in found["reduced"])


def test_the_build_of_torch_is_recorded() -> None:
    found = torch_build()
    assert found is not None
    assert found["version"] == torch.__version__
    assert found["commit"] == torch.version.git_version
    assert found["threads"] >= 1


@pytest.mark.parametrize("kind", ["xpu", "mps", "npu"])
def test_devices_of_any_vendor_are_named(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    properties = SimpleNamespace(name="A", total_memory=1 << 34, major=9, minor=1)
    module = SimpleNamespace(get_device_properties=lambda _: properties)
    device = SimpleNamespace(
        is_available=lambda: True, current_accelerator=lambda: kind, device_count=lambda: 1
    )
    stand_in = SimpleNamespace(accelerator=device, **({} if kind == "mps" else {kind: module}))
    monkeypatch.setitem(sys.modules, "torch", stand_in)
    named = {"name": "A", "memory_bytes": 1 << 34, "capability": "9.1"}
    assert accelerators() == [{"type": kind, "index": 0} | ({} if kind == "mps" else named)]
    assert numerics() is None
    assert torch_build() is None


def test_devices_behind_xla_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = SimpleNamespace(addressable_device_count=lambda: 2, device_type=lambda: "TPU")
    monkeypatch.setitem(sys.modules, "torch_xla", SimpleNamespace(runtime=runtime))
    if not torch.accelerator.is_available():
        assert accelerators() == [
            {"type": "xla", "index": 0, "name": "TPU"}, {"type": "xla", "index": 1, "name": "TPU"}
        ]  # fmt: skip


def test_looking_at_the_machine_loads_no_torch() -> None:
    script = (
        "import sys\nfrom auditor.provenance.machine import machine\n"
        "from auditor.provenance.energy import EnergyMeter\n"
        "meter = EnergyMeter(); meter.start(); meter.read()\n"
        "assert machine()['torch'] is None\nassert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False,
        env=os.environ | {"PYTHONPATH": os.getcwd()},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
