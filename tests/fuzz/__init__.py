"""Damaged and strange inputs, made from a seed: whatever a file has become, reading it gives its value or one sentence.

A target (:mod:`.target`) is a small valid sample of one kind of input and the function that reads it. A case copies the
sample, changes it once (:mod:`.damage`, :mod:`.text`, :mod:`.folders`) and reads it in a child process (:mod:`.server`) that
has limits of time and memory (:mod:`.runner`); :mod:`.verdict` says what may come of it. Commands with rubbish for
arguments run in the same child (:mod:`.commands`).

    python -m tests.fuzz --list
    python -m tests.fuzz --target nsd --count 200 --seed 1    # a table of outcomes; failing cases are kept in fuzz-failures/
    python -m tests.fuzz --replay fuzz-failures/responses-nsd-17
    python -m pytest -m slow tests/fuzz                       # BLTVS_FUZZ_SEED and BLTVS_FUZZ_COUNT (cases per target)
"""
