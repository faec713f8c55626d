"""A model as a subject of Brain-Score's experiments."""
