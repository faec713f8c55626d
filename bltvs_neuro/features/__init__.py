"""What RSA, encoding, probes and reports share: the choice of sites and timesteps, tiles, Grams and folds."""
