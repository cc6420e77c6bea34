"""Pure functions from statistics to estimates: no I/O, no clock, no thresholds."""

from auditor.metrics import (
    adverse_impact,
    attributions,
    auc,
    between_groups,
    conditional,
    distances,
    inequality,
    multiclass,
    proportions,
    ranking,
    rates,
    reconciliation,
    regression,
    score_means,
    score_quality,
)
from auditor.metrics.disaggregate import (
    Measured,
    Reference,
    ReferenceSlice,
    disaggregate,
    reference_slice,
)
from auditor.metrics.estimates import Comparison, Outcome, compare, estimate, estimate_all
from auditor.metrics.extremes import extreme
from auditor.metrics.intervals import (
    katz,
    newcombe,
    normal_quantile,
    wilson,
)
from auditor.metrics.metric import METRICS, Metric, add_metric, split_parameter, with_parameter
from auditor.metrics.row import Row
from auditor.metrics.samples import (
    Absent,
    Average,
    Bounded,
    Census,
    Mean,
    Noisy,
    Projected,
    Proportion,
    Quantile,
    Sample,
    Transformed,
    scaled,
)
from auditor.metrics.score_ratio import miettinen_nurminen_ratio
from auditor.metrics.slices import (
    SliceRows,
    SliceSamples,
    aggregate_sample,
    pair_sample,
    rest_sample,
    slice_rows,
    slice_samples,
)

# Importing the modules registers their metrics.
BUILT_IN = (
    adverse_impact,
    attributions,
    auc,
    between_groups,
    conditional,
    distances,
    inequality,
    multiclass,
    proportions,
    ranking,
    rates,
    reconciliation,
    regression,
    score_means,
    score_quality,
)

__all__ = [
    "BUILT_IN",
    "METRICS",
    "Absent",
    "Average",
    "Bounded",
    "Census",
    "Comparison",
    "Mean",
    "Measured",
    "Metric",
    "Noisy",
    "Outcome",
    "Projected",
    "Proportion",
    "Quantile",
    "Reference",
    "ReferenceSlice",
    "Row",
    "Sample",
    "SliceRows",
    "SliceSamples",
    "Transformed",
    "add_metric",
    "aggregate_sample",
    "compare",
    "disaggregate",
    "estimate",
    "estimate_all",
    "extreme",
    "katz",
    "miettinen_nurminen_ratio",
    "newcombe",
    "normal_quantile",
    "pair_sample",
    "reference_slice",
    "rest_sample",
    "scaled",
    "slice_rows",
    "slice_samples",
    "split_parameter",
    "wilson",
    "with_parameter",
]
