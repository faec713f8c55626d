"""Figures of RDMs and of their comparison."""
