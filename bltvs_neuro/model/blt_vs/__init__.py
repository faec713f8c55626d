"""BLT_VS itself: its table of areas, one step of an area, the unrolling in time, and lesions of its connections."""
