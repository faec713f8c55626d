"""From a store or from responses to RDMs."""
