"""What readers share: tables, ids, NIfTI, regions of interest, options."""
