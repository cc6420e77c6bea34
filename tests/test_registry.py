from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from auditor import registry
from auditor.errors import AuditorError, InputError
from auditor.registry import Registry, import_modules


class Loader:
    """Stands in for an installed plug-in: an entry point whose ``load`` does what a test says."""

    def __init__(self, name: str, load: object) -> None:
        self.name, self._load = name, load

    def load(self) -> object:
        return self._load() if callable(self._load) else self._load


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> object:
    def plug(*points: Loader) -> Registry[object]:
        seen: list[str] = []

        def entry_points(*, group: str) -> tuple[Loader, ...]:
            seen.append(group)
            return points

        monkeypatch.setattr(registry, "entry_points", entry_points)
        made: Registry[object] = Registry("check", group="auditor.checks")
        made.seen = seen  # type: ignore[attr-defined]
        return made

    return plug


def test_an_id_gives_what_was_registered_under_it() -> None:
    made: Registry[int] = Registry("metric")
    assert made.add("b", 2) == 2
    made.add("a", 1)
    assert made.get("b") == 2
    assert list(made) == ["a", "b"]
    assert len(made) == 2
    assert "a" in made
    assert "c" not in made


def test_an_id_given_twice_raises_and_keeps_the_first() -> None:
    made: Registry[int] = Registry("metric")
    made.add("auc", 1)
    with pytest.raises(AuditorError, match="metric 'auc' is registered twice"):
        made.add("auc", 2)
    assert made.get("auc") == 1


def test_an_unknown_id_names_the_nearest_and_the_place() -> None:
    made: Registry[int] = Registry("metric")
    made.add("selection_rate", 1)
    made.add("precision", 2)
    with pytest.raises(InputError) as caught:
        made.get("selection_rat", where="policy.yaml:4:5")
    assert str(caught.value) == (
        "policy.yaml:4:5: unknown metric 'selection_rat'; did you mean 'selection_rate'?"
    )


def test_an_unknown_id_that_is_near_to_none_lists_all() -> None:
    made: Registry[int] = Registry("metric")
    made.add("auc", 1)
    with pytest.raises(InputError, match="valid: auc"):
        made.get("zzzzzz")


def test_an_empty_registry_says_that_there_is_none() -> None:
    with pytest.raises(InputError, match="there is none"):
        Registry[int]("report").get("x")


def test_a_plug_in_is_loaded_once_and_on_first_use(plugged) -> None:
    loads: list[int] = []
    made = plugged(Loader("mine", lambda: loads.append(1) or "item"))
    assert made.seen == []
    assert made.get("mine") == "item"
    assert list(made) == ["mine"]
    assert made.seen == ["auditor.checks"]
    assert loads == [1]


def test_a_broken_plug_in_is_kept_with_its_reason_and_breaks_no_other(plugged) -> None:
    def broken() -> object:
        raise ImportError("no module named 'gone'")

    made = plugged(Loader("theirs", broken), Loader("mine", "item"))
    assert made.get("mine") == "item"
    assert made.broken == {"theirs": "ImportError: no module named 'gone'"}
    assert "theirs" not in made
    with pytest.raises(InputError, match="check 'theirs' failed to load: ImportError: no module"):
        made.get("theirs")


def test_a_plug_in_cannot_take_the_id_of_a_built_in(plugged) -> None:
    made = plugged(Loader("auc", "theirs"))
    made.add("auc", "ours")
    assert made.get("auc") == "ours"
    assert "registered twice" in made.broken["auc"]


def test_a_plug_in_that_registers_itself_when_loaded_is_not_broken(plugged) -> None:
    item = object()
    made = plugged(Loader("mine", lambda: made.add("mine", item)))
    assert made.get("mine") is item
    assert made.broken == {}


def test_a_real_entry_point_to_nowhere_is_a_broken_plug_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    point = EntryPoint("gone", "auditor.no_such_module:Check", "auditor.checks")
    monkeypatch.setattr(registry, "entry_points", lambda *, group: (point,))
    made: Registry[object] = Registry("check", group="auditor.checks")
    assert list(made) == []
    assert "ModuleNotFoundError" in made.broken["gone"]


def test_every_module_of_a_package_is_imported_and_no_package_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "shelf"
    (package / "below").mkdir(parents=True)
    for name in ("__init__.py", "b.py", "a.py", "below/__init__.py"):
        (package / name).write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    import_modules("shelf")
    loaded = {name for name in sys.modules if name.partition(".")[0] == "shelf"}
    assert loaded == {"shelf", "shelf.a", "shelf.b"}
