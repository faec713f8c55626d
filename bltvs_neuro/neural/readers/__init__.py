"""One small file per format of neural data."""
