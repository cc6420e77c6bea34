"""Pure functions from statistics to estimates: no I/O, no clock, no thresholds."""

from auditor.metrics.bayes import dirichlet_multinomial
from auditor.metrics.best import with_the_best
from auditor.metrics.bootstrap import bootstrap_interval
from auditor.metrics.contingency import fisher_exact, one_person_flip, shortfall, two_sample_z
from auditor.metrics.curves import ThresholdCurve, threshold_curves
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
    clopper_pearson,
    jeffreys,
    katz,
    mover_difference,
    mover_ratio,
    newcombe,
    normal_quantile,
    wilson,
)
from auditor.metrics.largest_gap import between_group_variance, bias_corrected_gap
from auditor.metrics.mantel_haenszel import (
    cmh_test,
    mantel_haenszel_difference,
    mantel_haenszel_odds_ratio,
    mantel_haenszel_ratio,
)
from auditor.metrics.metric import METRICS, Metric, add_metric, split_parameter, with_parameter
from auditor.metrics.multiplicity import benjamini_hochberg, bonferroni_level, holm, sidak_level
from auditor.metrics.power import minimal_detectable_difference, required_n
from auditor.metrics.resampling import (
    cell_replicates,
    poisson_replicates,
    poisson_weights,
    stratified_replicates,
)
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
from auditor.metrics.score_difference import miettinen_nurminen_difference
from auditor.metrics.score_ratio import miettinen_nurminen_ratio
from auditor.metrics.simultaneous import max_t_bands, sidak_wilson, simultaneous_differences
from auditor.metrics.slices import (
    SliceRows,
    SliceSamples,
    aggregate_sample,
    pair_sample,
    rest_sample,
    slice_rows,
    slice_samples,
)
from auditor.metrics.spending import alpha_of_look, spent
from auditor.registry import import_modules

import_modules("auditor.metrics")  # they register their metrics

__all__ = [
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
    "ThresholdCurve",
    "Transformed",
    "add_metric",
    "aggregate_sample",
    "alpha_of_look",
    "benjamini_hochberg",
    "between_group_variance",
    "bias_corrected_gap",
    "bonferroni_level",
    "bootstrap_interval",
    "cell_replicates",
    "clopper_pearson",
    "cmh_test",
    "compare",
    "dirichlet_multinomial",
    "disaggregate",
    "estimate",
    "estimate_all",
    "extreme",
    "fisher_exact",
    "holm",
    "jeffreys",
    "katz",
    "mantel_haenszel_difference",
    "mantel_haenszel_odds_ratio",
    "mantel_haenszel_ratio",
    "max_t_bands",
    "miettinen_nurminen_difference",
    "miettinen_nurminen_ratio",
    "minimal_detectable_difference",
    "mover_difference",
    "mover_ratio",
    "newcombe",
    "normal_quantile",
    "one_person_flip",
    "pair_sample",
    "poisson_replicates",
    "poisson_weights",
    "reference_slice",
    "required_n",
    "rest_sample",
    "scaled",
    "shortfall",
    "sidak_level",
    "sidak_wilson",
    "simultaneous_differences",
    "slice_rows",
    "slice_samples",
    "spent",
    "split_parameter",
    "stratified_replicates",
    "threshold_curves",
    "two_sample_z",
    "wilson",
    "with_parameter",
    "with_the_best",
]
