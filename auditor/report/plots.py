"""Charts of a recorded run for notebooks: estimates with their intervals, and curves."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, get_args

from auditor.errors import InputError, nearest
from auditor.evidence import Finding, Slice
from auditor.metrics.curves import threshold_curves
from auditor.metrics.score_quality import positions_of
from auditor.report.text import metric_title
from auditor.stats import Family, ScoreCounts

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

__all__ = [
    "plot_disparities", "plot_rates", "plot_scores", "plot_thresholds", "plot_training",
]  # fmt: skip

Rate = Literal[
    "selection_rate", "true_positive_rate", "false_positive_rate", "precision", "accuracy"
]
_RATES: tuple[str, ...] = get_args(Rate)
_WIDTH = 420
_STEP = 22


def plot_rates(findings: Sequence[Finding], metric: str, *, over: Family) -> alt.Chart:
    """Draw a metric of every slice of a family with its interval; n stands in the tooltip.

    Of several stages it is the latest at which it was measured.

    Raises :class:`InputError` where the metric was not measured over these attributes.
    """
    alt = _altair()
    rows = [
        {"slice": str(f.slice), "value": f.value, "low": f.low, "high": f.high, "n": f.n,
         "method": f.method}
        for f in _latest(findings, metric)
        if f.over is None and f.reference is None and f.slice.attributes == tuple(sorted(over))
    ]  # fmt: skip
    _required(rows, metric, over, findings)
    x = alt.X("low:Q", title=metric_title(metric), scale=alt.Scale(zero=False))
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("slice:N", title=None, sort=None, axis=alt.Axis(labelLimit=260)),
        tooltip=["slice:N", "value:Q", "low:Q", "high:Q", "n:Q", "method:N"],
    )
    return _sized(base.mark_rule(strokeWidth=2).encode(x=x, x2="high:Q")
                  + base.mark_point(filled=True, size=60).encode(x="value:Q"),
                  len(rows))  # fmt: skip


def plot_disparities(
    findings: Sequence[Finding], metric: str, *, over: Family, accept: float | None = None
) -> alt.Chart:
    """Draw a difference or a ratio of every slice against its reference, with the ideal value.

    ``accept`` draws the line of a policy beside it. Raises :class:`InputError` as
    :func:`plot_rates` does.
    """
    alt = _altair()
    rows = [
        {"slice": f"{f.slice} against {f.reference}", "value": f.value, "low": f.low,
         "high": f.high, "n": f.n, "method": f.method}
        for f in _latest(findings, metric)
        if f.reference is not None and f.slice.attributes == tuple(sorted(over))
    ]  # fmt: skip
    _required(rows, metric, over, findings)
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("slice:N", title=None, sort=None, axis=alt.Axis(labelLimit=360)),
        tooltip=["slice:N", "value:Q", "low:Q", "high:Q", "n:Q", "method:N"],
    )
    x = alt.X("low:Q", title=metric_title(metric), scale=alt.Scale(zero=False))
    layers: Any = base.mark_rule(strokeWidth=2).encode(x=x, x2="high:Q")
    layers += base.mark_point(filled=True, size=60).encode(x="value:Q")
    ideal = 1.0 if metric.partition("[")[0].endswith("_ratio") else 0.0
    for at, dash in ((ideal, [1, 0]), (accept, [4, 3])):
        if at is not None:
            line = alt.Chart(alt.Data(values=[{"at": at}]))
            layers += line.mark_rule(strokeDash=dash, color="gray").encode(x="at:Q")
    return _sized(layers, len(rows))


def plot_scores(scores: ScoreCounts, *, over: Family, bins: int = 20) -> alt.Chart:
    """Draw the distribution of the scores of each group, by label."""
    alt = _altair()
    place = positions_of(scores.grid)
    low, high = float(place.min()), float(place.max())
    width = (high - low) / bins or 1.0
    rows: list[dict[str, Any]] = []
    for where, counts in _by_slice(scores, over):
        total = int(counts.sum())
        for label in (0, 1):
            for k in range(bins):
                inside = ((place - low) / width).astype(int).clip(0, bins - 1) == k
                n = int(counts[inside, label].sum())
                rows.append({"slice": str(where), "label": str(label), "score": low + k * width,
                             "to": low + (k + 1) * width, "share": n / total})  # fmt: skip
    _required(rows, "scores", over, ())
    return (
        alt.Chart(alt.Data(values=rows), width=_WIDTH, height=70)
        .mark_bar(opacity=0.6)
        .encode(
            x=alt.X("score:Q", title="score"), x2="to:Q",
            y=alt.Y("share:Q", title=None, stack=None), color=alt.Color("label:N", title="label"),
            row=alt.Row("slice:N", title=None, header=alt.Header(labelAngle=0, labelAlign="left")),
            tooltip=["slice:N", "label:N", "share:Q"],
        )
    )  # fmt: skip


def plot_thresholds(
    scores: ScoreCounts,
    *,
    over: Family,
    rate: Rate = "selection_rate",
) -> alt.Chart:
    """Draw a rate of each group along all thresholds.

    Raises :class:`InputError` where the rate is none of these, or no group has scores.
    """
    alt = _altair()
    if rate not in _RATES:
        raise InputError(f"there is no curve of {rate!r}", valid=nearest(rate, _RATES))
    rows: list[dict[str, Any]] = [
        {"slice": str(where), "threshold": float(t), "rate": float(v)}
        for where, curve in threshold_curves(scores, over).items()
        for t, v in zip(curve.thresholds, getattr(curve, rate), strict=True)
        if v == v  # NaN where there is no denominator
    ]
    _required(rows, rate, over, ())
    return (
        alt.Chart(alt.Data(values=rows), width=_WIDTH, height=240)
        .mark_line()
        .encode(
            x=alt.X("threshold:Q", title="selected from this score on"),
            y=alt.Y("rate:Q", title=metric_title(rate)), color=alt.Color("slice:N", title=None),
            tooltip=["slice:N", "threshold:Q", "rate:Q"],
        )
    )  # fmt: skip


def plot_training(windows: pd.DataFrame, metric: str, *, over: str) -> alt.Chart:
    """Draw a metric of the training batches over the steps, with its interval, by group.

    ``windows`` is ``run.training``. Raises :class:`InputError` where it holds no such numbers.
    """
    alt = _altair()
    names = windows["slice"]
    unknown = names == f"{over} is unknown"
    named = names.str.startswith(f"{over}=") | unknown | (names == "everybody")
    rows = windows[(windows["metric"] == metric) & named].to_dict("records")
    if not any(row["slice"] != "everybody" for row in rows):
        raise InputError(
            f"{metric} was not observed in a training over {over!r}",
            valid=nearest(metric, set(windows["metric"])) if len(windows)
            else "a run with an attached training loop",
        )  # fmt: skip
    base = alt.Chart(alt.Data(values=rows), width=_WIDTH, height=240).encode(
        x=alt.X("last_step:Q", title="step"), color=alt.Color("slice:N", title=None),
        tooltip=["slice:N", "first_step:Q", "last_step:Q", "value:Q", "low:Q", "high:Q", "n:Q"],
    )  # fmt: skip
    y = alt.Y("low:Q", title=metric_title(metric), scale=alt.Scale(zero=False))
    return base.mark_area(opacity=0.15).encode(y=y, y2="high:Q") + base.mark_line().encode(
        y="value:Q"
    )


def _latest(findings: Sequence[Finding], metric: str) -> list[Finding]:
    """Return what was measured of a metric, at the latest stage that has it."""
    found = [f for f in findings if f.metric == metric and f.status == "measured"]
    last = max((f.stage.order for f in found), default=0)
    return [f for f in found if f.stage.order == last]


def _by_slice(scores: ScoreCounts, family: Family) -> list[tuple[Slice, Any]]:
    start = scores.groups.offset(family)
    found = [
        (scores.groups.slice_of(family, number), scores.by_label(start + number))
        for number in range(scores.groups.size(family))
    ]
    return [(where, counts) for where, counts in found if where.known and counts.sum()]


def _sized(chart: Any, rows: int) -> Any:
    return chart.properties(width=_WIDTH, height=max(2, rows) * _STEP)


def _required(
    rows: Sequence[object], metric: str, over: Family, findings: Sequence[Finding]
) -> None:
    if not rows:
        measured = {f.metric for f in findings if f.status == "measured"}
        raise InputError(
            f"{metric} was not measured over {' × '.join(over)}",
            valid=nearest(metric, measured) if measured else "a run with scores and labels",
        )


def _altair() -> Any:
    """Return altair; charts are drawn as SVG here, since its own renderer asks the network."""
    try:
        import altair
    except ImportError:
        raise InputError(
            "charts need the package altair", valid="pip install 'auditor[notebook]'"
        ) from None
    if altair.renderers.active == "default" and find_spec("vl_convert") is not None:
        altair.renderers.enable("svg")
    return altair
