"""What a model is without running it on data: multiply-accumulates, receptive fields, sizes of maps."""
