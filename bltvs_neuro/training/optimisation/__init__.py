"""Loss, learning rate and gradient clipping."""
