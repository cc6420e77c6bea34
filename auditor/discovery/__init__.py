"""Where a model errs: slices found on one half of the records, confirmed on the other."""
