"""How a finished store lies on disk: labels, chunks, checksums."""
