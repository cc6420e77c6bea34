"""Energy between two moments: measured where a counter can be read, estimated elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from auditor.errors import InputError
from auditor.evidence import canonical_json
from auditor.provenance.energy import WORLD_GRID, EnergyMeter, GridIntensity
from auditor.provenance.energy_counters import accelerator_counters, package_counters
from auditor.stats import ENERGY_COLUMNS


class Zones:
    """A tree as Linux lays it out."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def zone(self, zone: str, name: str, joules: float, span: float = 262_143.0) -> Path:
        folder = self.root / zone
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "max_energy_range_uj").write_text(f"{round(span * 1e6)}\n")
        (folder / "energy_uj").write_text(f"{round(joules * 1e6)}\n")
        return folder


class Library:
    """Bindings of a management library with two devices, of which one counts no energy."""

    def __init__(self, *, energy: bool = True, power: bool = True) -> None:
        self.joules = [100.0, 200.0]
        self.watts = [300.0, 300.0]
        self.energy, self.power = energy, power

    def nvmlInit(self) -> None:  # noqa: N802
        pass

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:  # noqa: N802
        return int(uuid[-1])

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:  # noqa: N802
        if not self.energy:
            raise RuntimeError("Not Supported")
        return round(self.joules[handle] * 1e3)

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:  # noqa: N802
        if not self.power:
            raise RuntimeError("Not Supported")
        return round(self.watts[handle] * 1e3)


class Broken:
    def nvmlInit(self) -> None:  # noqa: N802
        raise RuntimeError("Driver Not Loaded")


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOCAL_RANK", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def zones(tmp_path: Path) -> Zones:
    zones = Zones(tmp_path / "powercap")
    zones.zone("intel-rapl:0", "package-0", 1_000.0)
    zones.zone("intel-rapl:0:0", "core", 500.0)
    zones.zone("intel-rapl:0:2", "dram", 100.0)
    zones.zone("intel-rapl:1", "psys", 9_000.0)
    zones.zone("intel-rapl-mmio:0", "package-0", 1_000.0)
    return zones


def meter(clock: list[float] | None = None, **options: Any) -> EnergyMeter:
    options = {"library": Broken(), "powercap": Path("/nowhere")} | options
    if clock is not None:
        options["clock"] = lambda: clock[0]
    return EnergyMeter(**options)


def test_packages_and_memory_are_counted_once(zones: Zones) -> None:
    counters, reasons = package_counters(zones.root)
    assert [(c.part, c.source) for c in counters] == [("cpu", "rapl"), ("memory", "rapl")]
    assert reasons == []


def test_measured_joules_are_differences_of_the_counters(zones: Zones) -> None:
    energy = meter(powercap=zones.root)
    energy.start()
    zones.zone("intel-rapl:0", "package-0", 1_360.0)
    zones.zone("intel-rapl:0:2", "dram", 136.0)
    reading = energy.read()
    assert [(p.part, p.label, p.scope, p.joules) for p in reading.parts] == [
        ("cpu", "measured", "machine", 360.0), ("memory", "measured", "machine", 36.0)
    ]  # fmt: skip
    assert reading.kilowatt_hours == pytest.approx(396 / 3.6e6)
    columns = reading.columns()
    assert set(columns) == set(ENERGY_COLUMNS)
    assert (columns["joule:low"], columns["joule:high"]) == pytest.approx((376.2, 415.8))


def test_a_counter_that_wraps_around_goes_on(zones: Zones) -> None:
    zones.zone("intel-rapl:0", "package-0", 262_000.0)
    energy = meter(powercap=zones.root)
    energy.start()
    zones.zone("intel-rapl:0", "package-0", 57.0)
    assert energy.read().parts[0].joules == pytest.approx(200.0)
    zones.zone("intel-rapl:0", "package-0", 60.0)
    assert energy.read().parts[0].joules == pytest.approx(203.0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_estimated_and_said(zones: Zones) -> None:
    for file in zones.root.rglob("energy_uj"):
        file.chmod(0)
    reading = meter(powercap=zones.root)
    reading.start()
    assert any("not permitted" in reason for reason in reading.read().missing)


def test_a_counter_that_is_refused_gives_its_reason(
    zones: Zones, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_text

    def refused(self: Path, *args: Any, **kwargs: Any) -> str:
        if self.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return read(self, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", refused)
    energy = meter(powercap=zones.root)
    energy.start()
    reading = energy.read()
    assert {p.label for p in reading.parts} == {"estimated"}
    assert "reading is not permitted" in reading.missing[0]


def test_a_damaged_counter_is_left_out(zones: Zones) -> None:
    (zones.root / "intel-rapl:0" / "energy_uj").write_text("many\n")
    counters, reasons = package_counters(zones.root)
    assert [c.part for c in counters] == ["memory"]
    assert reasons == ["intel-rapl:0: ValueError"]


def test_a_counter_that_breaks_off_keeps_what_it_had(zones: Zones) -> None:
    energy = meter(powercap=zones.root)
    energy.start()
    zones.zone("intel-rapl:0", "package-0", 1_010.0)
    assert energy.read().parts[0].joules == pytest.approx(10.0)
    (zones.root / "intel-rapl:0" / "energy_uj").unlink()
    reading = energy.read()
    assert reading.parts[0].joules == pytest.approx(10.0)
    assert any("package-0" in note for note in reading.missing)


def test_without_counters_the_estimate_is_load_times_power_and_memory() -> None:
    clock = [0.0]
    energy = meter(clock, cpu_watts=100.0)
    energy.start()
    clock[0] = 1_000.0
    reading = energy.read()
    assert [(p.part, p.label) for p in reading.parts] == [
        ("cpu", "estimated"), ("memory", "estimated")
    ]  # fmt: skip
    cpu, memory = reading.parts
    assert (cpu.scope, memory.scope) == ("process", "machine")
    assert 0 <= cpu.low <= cpu.joules <= cpu.high == pytest.approx(100_000.0)
    assert memory.low < memory.joules < memory.high
    # 3 W for 8 GB over 1,000 seconds.
    gigabytes = memory.joules / 1_000 / (3 / 8)
    assert 0 < gigabytes <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9 + 1e-6
    assert reading.missing
    assert canonical_json(reading.to_json())


def test_accelerators_count_joules_or_tell_their_power() -> None:
    library = Library()
    clock = [0.0]
    energy = meter(clock, library=library)
    energy.start()
    clock[0], library.joules = 10.0, [160.0, 230.0]
    reading = energy.read()
    measured = [p for p in reading.parts if p.part == "accelerator"]
    assert [(p.label, p.source, p.joules) for p in measured] == [
        ("measured", "nvml", pytest.approx(60.0)), ("measured", "nvml", pytest.approx(30.0))
    ]  # fmt: skip
    older = Library(energy=False)
    clock = [0.0]
    energy = meter(clock, library=older, devices=[1])
    energy.start()
    clock[0], older.watts = 10.0, [0.0, 100.0]
    (part, *_) = energy.read().parts
    assert (part.label, part.source, part.joules) == ("estimated", "nvml-power", 2_000.0)
    assert (part.low, part.high) == (0.0, 4_000.0)


def test_why_accelerators_cannot_be_read_is_said() -> None:
    assert accelerator_counters(library=Broken()) == ([], ["NVML: Driver Not Loaded"])
    counters, reasons = accelerator_counters([5], library=Library())
    assert (counters, reasons) == ([], ["NVML has no device 5"])
    counters, reasons = accelerator_counters(library=Library(energy=False, power=False))
    assert counters == []
    assert reasons == ["NVML, device 0: Not Supported", "NVML, device 1: Not Supported"]


def test_only_visible_devices_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def joules() -> list[float]:
        return [counter.read() for counter in accelerator_counters(library=Library())[0]]

    assert joules() == [100.0, 200.0]
    for visible, expected in (("1", [200.0]), ("GPU-1,0", [200.0, 100.0]), ("", []), ("7,0", [])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert joules() == expected


def test_an_accelerator_that_nobody_can_read_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    accelerator = SimpleNamespace(is_available=lambda: True)
    monkeypatch.setitem(
        __import__("sys").modules, "torch", SimpleNamespace(accelerator=accelerator)
    )
    clock = [0.0]
    energy = meter(clock)
    energy.start()
    clock[0] = 5.0
    reading = energy.read()
    assert reading.columns()["seconds:blind"] == 5.0
    assert reading.missing[0] == "accelerator: NVML: Driver Not Loaded"


def test_ranks_of_one_machine_read_its_processors_once(
    zones: Zones, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[list[str]] = []
    for rank in ("0", "1"):
        monkeypatch.setenv("LOCAL_RANK", rank)
        energy = meter(powercap=zones.root, library=Library())
        energy.start()
        parts.append([part.part for part in energy.read().parts])
    assert parts == [["accelerator", "cpu", "memory"], ["accelerator"]]


def test_what_was_used_before_an_interruption_is_added(zones: Zones) -> None:
    first = meter(powercap=zones.root, grid_intensity=100.0)
    first.start()
    zones.zone("intel-rapl:0", "package-0", 1_360.0)
    state = first.state_dict()
    second = meter(powercap=zones.root, grid_intensity=100.0)
    second.load_state_dict(state)
    second.start()
    zones.zone("intel-rapl:0", "package-0", 1_400.0)
    reading = second.read()
    assert reading.joules == pytest.approx(400.0)
    assert reading.columns()["joule:cpu:measured"] == pytest.approx(400.0)
    assert reading.columns()["gram"] == pytest.approx(400 / 3.6e6 * 100)


def test_the_grid_is_the_users_or_the_worlds_and_said(zones: Zones) -> None:
    given = meter(powercap=zones.root, grid_intensity=56, grid_source="RTE, 2024")
    assumed = meter(powercap=zones.root)
    for energy in (given, assumed):
        energy.start()
    zones.zone("intel-rapl:0", "package-0", 1_000.0 + 3.6e3)
    stated, world = given.read(), assumed.read()
    assert stated.columns()["gram"] == pytest.approx(1e-3 * 56)
    assert stated.columns()["gram:assumed"] == 0
    assert world.columns()["gram"] == world.columns()["gram:assumed"]
    assert world.columns()["gram"] == pytest.approx(1e-3 * WORLD_GRID.value)
    assert world.columns()["gram:low"] < world.columns()["gram"] < world.columns()["gram:high"]
    assert stated.to_json()["grid"]["label"] == "stated"
    assert world.to_json()["grid"]["label"] == "estimated"
    assert "IEA" in world.to_json()["grid"]["source"]


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "56", True, 6_000])
def test_an_intensity_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="grid intensity"):
        GridIntensity.given(value)
    with pytest.raises(InputError, match="grid_intensity="):
        EnergyMeter(grid_intensity=value)


def test_other_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="power of the processors"):
        EnergyMeter(cpu_watts=0)
    with pytest.raises(InputError, match="not started"):
        EnergyMeter().read()
    with pytest.raises(InputError, match="state"):
        EnergyMeter().load_state_dict({"columns": {"kwh": 1}})
