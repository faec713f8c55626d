"""Estimators on one set of features: ridge, banded ridge, PLS, ordinary least squares."""
