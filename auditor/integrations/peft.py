"""Models with adapters of peft: the base model is the same one with its adapter switched off."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from auditor.errors import InputError
from auditor.evidence import Finding

if TYPE_CHECKING:
    from auditor.engine.audit import Audit
    from auditor.loop.outputs import Predict

__all__ = ["compare_base", "without_adapter"]


def compare_base(
    audit: Audit, model: Any, loader: Any, *, split: str = "test", predict: Predict | None = None
) -> tuple[Finding, ...]:
    """Compare a model with adapters with its base (stage ``fine-tuning``): see ``audit.compare``.

    What was trained beside the adapter (``modules_to_save``, as the head of a classifier) is
    switched off with it: the base is the model as it was before the training.
    """
    return audit.compare(
        lambda: without_adapter(model), model, loader, split=split, predict=predict
    )


@contextmanager
def without_adapter(model: Any) -> Generator[None]:
    """Switch the adapters off, and leave everything as it was: which weights are trained, too.

    Raises :class:`InputError` for a model without adapters, and for merged ones, which cannot be
    taken out again without a rounding error.
    """
    disable = getattr(model, "disable_adapter", None)
    if disable is None:
        raise InputError(
            f"the model is a {type(model).__name__}",
            valid="a model of peft, or audit.compare(base, tuned, loader)",
        )
    if any(getattr(module, "merged", False) is True for module in model.modules()):
        raise InputError("the adapters are merged", valid="model.unmerge_adapter() before")
    trained = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        with disable():
            yield
    finally:
        for parameter, requires in trained:
            parameter.requires_grad_(requires)
