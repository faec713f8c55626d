"""Documentation: ``uv run --extra docs sphinx-build -W --keep-going docs build/docs``."""

import re
import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import gallery

project = "bltvs_neuro"
author = "The bltvs_neuro developers"
version = release = installed("bltvs_neuro")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_gallery.gen_gallery"]
sphinx_gallery_conf = {
    "examples_dirs": "../analyses",
    "gallery_dirs": "generated/gallery",
    "filename_pattern": gallery.runs(),
    "image_scrapers": ("gallery.figures_of_block",),
    "capture_repr": (),
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "remove_config_comments": True,
}
html_theme = "furo"
html_show_copyright = False
html_title = f"bltvs_neuro {version}"
exclude_patterns = ["build"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
autodoc_mock_imports = ["brainscore_vision", "brainscore_core", "result_caching"]
autodoc_typehints = "none"  # the signatures' types are said in the docstrings
autodoc_default_options = {"members": True, "member-order": "bysource"}
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
suppress_warnings = ["myst.header", "ref.python"]  # "shape" in a docstring names no object


def escape_stars(app, what, name, obj, options, lines):
    """``(stimulus, *units)`` in a docstring is not the beginning of emphasis."""
    for at, line in enumerate(lines):
        pieces = line.split("``")
        pieces[::2] = [re.sub(r"(?<=[ (,])\*(?=\w+[ )\],])", r"\\*", piece) for piece in pieces[::2]]
        lines[at] = "``".join(pieces)


def skip_inherited(app, what, name, obj, skip, options):
    """Leave out what scikit-learn adds to every estimator."""
    return True if name.startswith("set_") and name.endswith("_request") else None


def setup(app):
    """Write the pages that follow from the package and its commands."""
    from pages import write_pages

    app.connect("builder-inited", lambda app: write_pages())
    app.connect("autodoc-process-docstring", escape_stars)
    app.connect("autodoc-skip-member", skip_inherited)
