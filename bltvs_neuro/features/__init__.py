"""What rsa, encoding and probes share: passes over activations in tiles, Gram matrices, folds."""
