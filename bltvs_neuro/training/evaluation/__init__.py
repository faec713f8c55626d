"""Accuracy of a model on labelled pictures."""
