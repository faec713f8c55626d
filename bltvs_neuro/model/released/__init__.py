"""Weights and models as files: released checkpoints, hubs, exported folders, and what may be read from them."""
