"""Simulations of what is reported: sizes of tests, coverage of intervals."""
