"""Attributions: what each feature adds to an output, and how far that can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Attributions"]


@dataclass(frozen=True, slots=True)
class Attributions:
    """The explanation of some records.

    Parameters
    ----------
    values:
        Attribution of each feature, shape ``[records, *features]``, in units of the output.
    standard_error:
        The Monte-Carlo standard error of each value, same shape.
    residual:
        Per record, the sum of the attributions less (output − mean output of the background),
        shape ``[records]``: what the explanation leaves unexplained.
    output:
        The explained output of each record, shape ``[records]``.
    baseline:
        The mean output of the background.
    method:
        The name of the method with its parameters.
    """

    values: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    residual: NDArray[np.float64]
    output: NDArray[np.float64]
    baseline: float
    method: str

    @property
    def relative_residual(self) -> NDArray[np.float64]:
        """Absolute residual in standard deviations of the output, shape ``[records]``."""
        spread = float(self.output.std())
        return np.abs(self.residual) / spread if spread > 0 else np.abs(self.residual)

    def by_feature(self, features: dict[str, list[int]]) -> dict[str, NDArray[np.float64]]:
        """Add up the attributions of the columns that make each feature (one-hot columns)."""
        return {name: self.values[:, columns].sum(axis=1) for name, columns in features.items()}

    def _repr_html_(self) -> str:
        means = np.abs(self.values).reshape(len(self.values), -1).mean(axis=0)
        largest = np.argsort(-means)[:20]
        body = "".join(f"<tr><td>{i}</td><td>{means[i]:.4g}</td></tr>" for i in largest)
        return (
            f"<table><caption>{self.method}, {len(self.values)} records, largest residual "
            f"{np.abs(self.residual).max():.3g}</caption><tr><th>feature</th>"
            f"<th>mean |attribution|</th></tr>{body}</table>"
        )
