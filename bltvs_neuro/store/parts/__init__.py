"""A store while it is written: parts, locks, shares of a job array."""
