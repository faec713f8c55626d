"""Variances, intervals, noise ceilings and tests of comparisons."""
