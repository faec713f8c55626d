"""The models beside BLT_VS: feed-forward twins, CORnet-S, and any classifier wrapped as a network."""
