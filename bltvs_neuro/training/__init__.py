"""Training and evaluation of classification: labelled pictures, the recipe, a loop that survives being killed."""
