"""Pure functions from statistics to estimates: no I/O, no clock, no thresholds."""

from auditor.metrics import attributions, auc, proportions, rates
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
from auditor.metrics.metric import METRICS, Metric, add_metric, split_parameter
from auditor.metrics.samples import Absent, Census, Mean, Proportion, Sample, scaled
from auditor.metrics.score_ratio import miettinen_nurminen_ratio
from auditor.metrics.slices import SliceSamples, rest_sample, slice_samples

# Importing the modules registers their metrics.
BUILT_IN = (attributions, auc, proportions, rates)

__all__ = [
    "BUILT_IN",
    "METRICS",
    "Absent",
    "Census",
    "Comparison",
    "Mean",
    "Measured",
    "Metric",
    "Outcome",
    "Proportion",
    "Reference",
    "ReferenceSlice",
    "Sample",
    "SliceSamples",
    "add_metric",
    "compare",
    "disaggregate",
    "estimate",
    "estimate_all",
    "extreme",
    "katz",
    "miettinen_nurminen_ratio",
    "newcombe",
    "normal_quantile",
    "reference_slice",
    "rest_sample",
    "scaled",
    "slice_samples",
    "split_parameter",
    "wilson",
]
