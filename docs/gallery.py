"""How sphinx-gallery shows the numbered scripts of ``analyses/``: which of them run, and where their figures are found."""

import os
from pathlib import Path

from sphinx_gallery.scrapers import figure_rst

from bltvs_neuro.figures import figure_of, save_figure

RUN = ("01_first_store", "03_own_fmri", "04_eeg_over_time", "05_encoding", "06_own_network")
RUN_WITH_DATA = ("02_kriegeskorte92", "07_lesions")
"""Those that need the 92 objects, which only BLTVS_DATA has where there is no network."""


def runs() -> str:
    """Pattern of the scripts that are run; the others are shown as code."""
    data = Path(os.environ.get("BLTVS_DATA", "")) / "kriegeskorte92"
    return "|".join(RUN + (RUN_WITH_DATA if "BLTVS_DATA" in os.environ and data.is_dir() else ()))


def figures_of_block(block, block_vars, gallery_conf) -> str:
    """Save what a block of a script calls ``axes``: the package draws outside of pyplot, where sphinx-gallery looks."""
    axes = block_vars["example_globals"].get("axes")
    if axes is None or getattr(figure_of(axes), "in_gallery", False):
        return ""
    path = next(block_vars["image_path_iterator"])
    save_figure(axes, path, dpi=150, overwrite=True)
    figure_of(axes).in_gallery = True
    return figure_rst([path], gallery_conf["src_dir"])
