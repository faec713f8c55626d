"""``python -m bltvs_neuro`` is the command ``bltvs``."""

from .cli import main

main()
