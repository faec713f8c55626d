"""Many feature spaces against the same targets."""
