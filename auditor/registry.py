"""One way to find things by id: checks, metrics, output formats, and what plug-ins add to them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import Generic, TypeVar

from auditor.errors import AuditorError, InputError, nearest

__all__ = ["Registry", "import_modules"]

T = TypeVar("T")


class Registry(Generic[T]):
    """A mapping from a stable, public id to an object; an id is given once and never reused.

    Parameters
    ----------
    noun:
        What the ids name, for messages (``check``, ``metric``, ``output format``).
    group:
        The entry-point group from which plug-ins are loaded, on first use. A plug-in that fails
        to load is kept in ``broken`` (id → reason), so that a verdict can show it as an ``error``.
    """

    def __init__(self, noun: str, *, group: str | None = None) -> None:
        self.noun = noun
        self.group = group
        self.broken: dict[str, str] = {}
        self._items: dict[str, T] = {}
        self._plugins_loaded = group is None

    def add(self, identifier: str, item: T) -> T:
        """Register ``item``; raises :class:`AuditorError` where the id is taken."""
        if identifier in self._items:
            raise AuditorError(f"{self.noun} {identifier!r} is registered twice")
        self._items[identifier] = item
        return item

    def get(self, identifier: str, *, where: str | None = None) -> T:
        """Return the object; raises :class:`InputError` naming the nearest valid id."""
        self._load_plugins()
        if identifier not in self._items:
            if identifier in self.broken:
                raise InputError(
                    f"{self.noun} {identifier!r} failed to load: {self.broken[identifier]}",
                    where=where,
                )
            raise InputError(
                f"unknown {self.noun} {identifier!r}", where=where, valid=nearest(identifier, self)
            )
        return self._items[identifier]

    def __contains__(self, identifier: object) -> bool:
        self._load_plugins()
        return identifier in self._items

    def __iter__(self) -> Iterator[str]:
        self._load_plugins()
        return iter(sorted(self._items))

    def __len__(self) -> int:
        self._load_plugins()
        return len(self._items)

    def _load_plugins(self) -> None:
        if self._plugins_loaded:
            return
        self._plugins_loaded = True
        for point in entry_points(group=self.group or ""):
            try:
                item = point.load()
                # Loading may have registered it already, by a decorator.
                if self._items.get(point.name) is not item:
                    self.add(point.name, item)
            except Exception as error:  # noqa: BLE001 -- a broken plug-in must not break the audit
                self.broken[point.name] = f"{type(error).__name__}: {error}"


def import_modules(package: str) -> None:
    """Import every module of a package by name: what is one file registers itself.

    Sub-packages are left to their own ``__init__``.
    """
    for found in iter_modules(import_module(package).__path__):
        if not found.ispkg:
            import_module(f"{package}.{found.name}")
