"""Similarities of RDMs, plain and for bootstrap samples."""
