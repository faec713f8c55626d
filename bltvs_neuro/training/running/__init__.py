"""A run: its loop, checkpoints, processes and signals."""
