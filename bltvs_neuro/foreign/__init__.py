"""Files that others wrote, opened without trusting what they claim: text, .npy, HDF5, MATLAB 5, pickles.

Nothing in here runs code from a file, reads another file than the one named, or allocates what a header merely
declares. What is wrong with a file is one sentence that names it.
"""
