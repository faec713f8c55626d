"""Convolutions on a CPU with fewer multiplications."""
