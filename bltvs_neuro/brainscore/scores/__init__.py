"""Scores on public benchmarks and on one's own data."""
