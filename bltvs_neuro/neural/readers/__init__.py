"""One file per format. ``subject`` is the only one there unless one is named; ``allow_pickle`` is as for load_responses."""
