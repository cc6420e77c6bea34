"""Floating-point operations of what runs in a window, counted as it is dispatched.

The formulas are those of ``torch.utils.flop_counter`` (2·m·n·k for a product of matrices: a
multiplication and an addition are two operations; elementwise work is not counted), and a few for
operations that it has none for. Its own mode is not used: that one sets hooks on every module and
on tensors of the user's graph, decomposes operations, and is taken off the stack by position.
"""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from torch.utils.flop_counter import sdpa_backward_flop_count as attention_backward_flops
from torch.utils.flop_counter import sdpa_flop_count as attention_flops

__all__ = ["FlopWindow", "compiled_frames", "is_compiled"]

Formula = Callable[..., int]

_PASSIVE = frozenset({"aten", "prim", "prims", "profiler", "c10d", "_c10d_functional", "quantized"})
"""Namespaces in which an operation without a formula is taken to multiply no matrices."""

_PRODUCTS = frozenset({
    "_cdist_forward", "_cudnn_rnn", "_cudnn_rnn_backward", "_int_mm", "_scaled_grouped_mm",
    "_thnn_fused_gru_cell", "_thnn_fused_lstm_cell", "_trilinear", "_weight_int4pack_mm",
    "_weight_int8pack_mm", "addbmm", "addr", "_fft_c2c", "_fft_r2c", "_fft_c2r", "_linalg_det",
    "_linalg_eigh", "_linalg_svd", "linalg_cholesky_ex", "linalg_inv_ex", "linalg_lu",
    "linalg_qr", "miopen_rnn", "miopen_rnn_backward", "mkldnn_rnn_layer",
    "mkldnn_rnn_layer_backward", "_sparse_mm", "_sparse_addmm", "_conv_depthwise2d",
})  # fmt: skip
"""Operations of ``aten`` that do multiply, and that no formula is known of."""


class FlopWindow(TorchDispatchMode):
    """Counts between :meth:`open` and :meth:`close`, in this thread and in the backward of it.

    Results are what they would be: every operation is passed on as it is. ``flops`` is the sum;
    ``unknown`` names operations that have no formula and may have multiplied; ``fault`` what went
    wrong in the counting. What raises closes the count at once (``broken``), so that an error in
    the user's step leaves a mode behind that only passes on, until :meth:`close` takes it off.
    """

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Otherwise torch wraps the handler, and the first operation loads its compiler: seconds.
        # There is no compiled code where a window is open.
        return False

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0
        self.unknown: set[str] = set()
        self.fault: str | None = None
        self.broken = self.closed = False
        self.paused = 0
        self.by_type: Counter[str] = Counter()
        self._on = False

    @staticmethod
    def occupied() -> bool:
        """Whether some dispatch mode is on in this thread."""
        return bool(_depth())

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation, and add what it takes."""
        if self._wrapped(types):
            return NotImplemented  # its own handler runs it in parts, and those are counted
        try:
            out = func(*args, **(kwargs or {}))
        except BaseException:
            self.broken = True
            raise
        if not (self.paused or self.closed or self.broken or self.fault):
            try:
                self._count(func, args, kwargs or {}, out)
            except Exception as error:  # noqa: BLE001 -- counting must never break the training
                self.fault = f"{type(error).__name__}: {error}"
        return out

    def open(self) -> None:
        """Begin to count."""
        if not self._on:
            self.__enter__()
            self._on = True

    def close(self) -> bool:
        """Stop to count, and leave the stack of modes; say whether it is left.

        Modes are taken off by position. Where one of the user was entered after this one and is
        still on, this one stays, passes on only, and is to be closed again later.
        """
        self.closed = True
        if not self._on:
            return True
        if _top() is not self:
            return False
        self._on = False
        self.__exit__(None, None, None)
        return True

    @staticmethod
    def _wrapped(types: Any) -> bool:
        plain = (torch.Tensor, torch.nn.Parameter)
        return any(kind not in plain for kind in types)

    def _count(self, func: Any, args: Any, kwargs: dict[str, Any], out: Any) -> None:
        packet = getattr(func, "_overloadpacket", func)
        formula = flop_registry.get(packet) or _formulas().get(packet)
        if formula is not None:
            flops = int(formula(*args, **kwargs, out_val=out))
            self.flops += flops
            outs = out if isinstance(out, (tuple, list)) else (out,)
            types = [value.dtype for value in outs if isinstance(value, torch.Tensor)]
            self.by_type[str(types[0]).removeprefix("torch.") if types else "unknown"] += flops
            return
        namespace = getattr(func, "namespace", "")
        name = str(getattr(packet, "__name__", packet))
        if namespace not in _PASSIVE or (namespace == "aten" and name in _PRODUCTS):
            self.unknown.add(f"{namespace}::{name}" if namespace else name)


def is_compiled(model: torch.nn.Module) -> bool:
    """Whether ``torch.compile`` made the module, or a part of it.

    Under a dispatch mode compiled code is not run (the module runs eagerly instead, and may round
    otherwise), so nothing is counted there.
    """
    return any(
        type(part).__name__ == "OptimizedModule"
        or getattr(part, "_compiled_call_impl", None) is not None
        for part in model.modules()
    )


def compiled_frames() -> int:
    """Return how many functions this process has compiled so far."""
    counters: Any = getattr(sys.modules.get("torch._dynamo.utils"), "counters", None)
    with contextlib.suppress(Exception):
        return 0 if counters is None else int(counters.get("stats", {}).get("unique_graphs", 0))
    return 0


def _depth() -> int:
    return int(_internals()._len_torch_dispatch_stack())


def _top() -> Any:
    depth = _depth()
    return _internals()._get_dispatch_stack_at(depth - 1) if depth else None


def _internals() -> Any:
    return getattr(torch, "_C")  # noqa: B009 -- torch's own modes ask it for the stack


_FORMULAS: dict[Any, Formula] = {}


def _formulas() -> dict[Any, Formula]:
    """Return formulas for operations that torch's registry has none for, in this version."""
    if not _FORMULAS:
        for name, formula in {
            "_scaled_dot_product_flash_attention_for_cpu": _attention,
            "_scaled_dot_product_flash_attention_for_cpu_backward": _attention_backward,
            "_grouped_mm": _grouped,
            "mv": _vector,
            "addmv": _added_vector,
            "dot": _dot,
            "vdot": _dot,
        }.items():
            if (packet := getattr(torch.ops.aten, name, None)) is not None:
                _FORMULAS[packet] = formula
    return _FORMULAS


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return attention_flops(query.shape, key.shape, value.shape)


def _attention_backward(grad: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return attention_backward_flops(grad.shape, query.shape, key.shape, value.shape)


def _grouped(a: Any, b: Any, *_: Any, out_val: Any, **__: Any) -> int:
    """Products of groups: of rows of ``a`` by ``b[g]``, or over parts of the inner dimension."""
    if a.dim() == 2 and b.dim() == 2:
        return 2 * a.shape[0] * a.shape[1] * b.shape[1]
    return 2 * prod(out_val.shape) * a.shape[-1]


def _vector(matrix: Any, *_: Any, **__: Any) -> int:
    return 2 * prod(matrix.shape)


def _added_vector(_: Any, matrix: Any, *__: Any, **___: Any) -> int:
    return 2 * prod(matrix.shape)


def _dot(a: Any, *_: Any, **__: Any) -> int:
    return 2 * prod(a.shape)
