"""Labelled pictures: where they are, what is done to them, in which order they come."""
