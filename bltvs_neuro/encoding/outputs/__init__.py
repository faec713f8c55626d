"""Files and figures of a result."""
