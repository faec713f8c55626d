"""Scores of predictions, noise ceilings, and scores over time."""
