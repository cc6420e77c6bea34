"""The front matter of a model card: licence, data sets and base models as its author says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

__all__ = ["Unreadable", "read_front_matter"]

_LARGEST, _DEEPEST = 1 << 16, 20
_FENCE = re.compile(rb"^---[ \t]*\r?$", re.MULTILINE)


class Unreadable(Exception):  # noqa: N818 -- a reason, not a fault of the caller
    """Raised for a front matter that cannot be read; the message is the reason."""


class _Loader(yaml.SafeLoader):
    """Reads plain values only: an alias may stand for a document that does not fit in memory."""

    depth = 0

    def compose_node(self, parent: Any, index: int) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise Unreadable("it has an alias")
        if self.depth >= _DEEPEST:
            raise Unreadable(f"it is nested deeper than {_DEEPEST}")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_front_matter(file: Path) -> dict[str, Any]:
    """Return the YAML between the first two lines ``---`` of a file, empty where it has none.

    No more than 64 KiB are read, by the safe loader and without aliases. Raises
    :class:`Unreadable`.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(_LARGEST + 1)
    except OSError as error:
        raise Unreadable(str(error.strerror or error)) from None
    content = content.removeprefix(b"\xef\xbb\xbf")
    first = _FENCE.match(content)
    if first is None:
        return {}
    last = _FENCE.search(content, first.end())
    if last is None:
        within = " within 64 KiB" if len(content) > _LARGEST else ""
        raise Unreadable(f"it has no end{within}")
    try:
        document = yaml.load(content[first.end() : last.start()], Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError):
        # ValueError: bytes that are no text, or a date that is none.
        raise Unreadable("it is not YAML") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise Unreadable("it is no mapping")
    return {str(key): value for key, value in document.items()}
