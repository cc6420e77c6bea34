"""Models read from files without unpickling: skops, ONNX, safetensors with an importable class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from auditor.errors import InputError, MissingExtraError

__all__ = ["load_model_file"]

_VALID = "a .skops, .onnx or .safetensors file; never a pickle"


def load_model_file(
    path: Path,
    *,
    cls: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    features: Sequence[str] = (),
) -> Any:
    """Return an estimator with ``predict`` (and ``predict_proba``).

    Raises :class:`InputError` for another kind of file, for a damaged one, and for a skops file
    with types that are not known to be safe; :class:`MissingExtraError` where the library that
    reads the format is not installed.
    """
    if not path.is_file():
        raise InputError("no such model", where=str(path), valid=_VALID)
    if path.suffix == ".skops":
        return _read_skops(path)
    if path.suffix == ".onnx":
        return _Scores(_read_onnx(path), features, str(path))
    if path.suffix == ".safetensors":
        return _Scores(_read_safetensors(path, cls, arguments or {}), features, str(path))
    raise InputError(f"unknown kind of model {path.suffix!r}", where=str(path), valid=_VALID)


class _Scores:
    """A binary model that gives logits, as an estimator over numeric columns."""

    classes_ = np.array([0, 1])

    def __init__(self, logits: Callable[[Any], Any], features: Sequence[str], where: str) -> None:
        if not features:
            raise InputError("the features are not named", where=where, valid="model.features: […]")
        self.feature_names_in_ = list(features)
        self._logits = logits

    def predict_proba(self, x: Any) -> Any:
        logits = np.asarray(self._logits(x.to_numpy("float32")), "float64")
        if logits.ndim == 2 and logits.shape[1] == 2:
            logits = logits[:, 1] - logits[:, 0]
        positive = 1 / (1 + np.exp(-logits.reshape(-1)))
        return np.column_stack([1 - positive, positive])

    def predict(self, x: Any) -> Any:
        return (self.predict_proba(x)[:, 1] >= 0.5).astype(int)


def _read_skops(path: Path) -> Any:
    try:
        skops_io: Any = import_module("skops.io")
    except ImportError:
        raise MissingExtraError(
            "skops is not installed", where=str(path), valid="pip install skops"
        ) from None
    try:
        unknown = skops_io.get_untrusted_types(file=path)
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise InputError(f"a damaged skops file ({error})", where=str(path)) from None
    if unknown:
        raise InputError(
            f"the file holds types that are not known to be safe: {', '.join(unknown[:3])}",
            where=str(path),
        )
    return skops_io.load(path, trusted=[])


def _read_onnx(path: Path) -> Callable[[Any], Any]:
    try:
        runtime: Any = import_module("onnxruntime")
    except ImportError:
        raise MissingExtraError(
            "onnxruntime is not installed", where=str(path), valid="pip install onnxruntime"
        ) from None
    try:
        session = runtime.InferenceSession(str(path), providers=runtime.get_available_providers())
    except Exception as error:  # noqa: BLE001 -- the library raises classes of its own
        raise InputError(f"a damaged ONNX file ({error})", where=str(path)) from None
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[0]


def _read_safetensors(
    path: Path, cls: str | None, arguments: Mapping[str, Any]
) -> Callable[[Any], Any]:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    module_name, colon, class_name = (cls or "").partition(":")
    if not colon:
        raise InputError(
            "the class is not named", where=str(path), valid="model.class: module:Class"
        )
    try:
        model = getattr(import_module(module_name), class_name)(**arguments)
    except (ImportError, AttributeError, TypeError) as error:
        raise InputError(f"the class {cls} cannot be made ({error})", where=str(path)) from None
    try:
        model.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise InputError(
            f"the weights do not fit ({str(error).splitlines()[0]})", where=str(path)
        ) from None
    model.eval()

    def logits(x: Any) -> Any:
        with torch.no_grad():
            return model(torch.tensor(x)).numpy()

    return logits
