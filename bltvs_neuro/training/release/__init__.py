"""A trained model as a folder, and on the hub."""
