"""The state of an audit inside the checkpoints of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from auditor.loop.plain_states import restored
from auditor.loop.world import World

__all__ = ["gathered", "restored"]


def gathered(audit: Any) -> dict[str, Any]:
    """Return the states of all ranks on the first one, ready for a checkpoint. A collective."""
    states: Sequence[Any] | None = World.current().gather(audit.state_dict())
    return {} if states is None else {"ranks": list(states)}
