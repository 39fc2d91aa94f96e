"""The statistics of the verdict: paired comparisons of arms on the test rows."""
