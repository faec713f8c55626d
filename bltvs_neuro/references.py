"""What to cite: the toolkit, the model, and the data and methods that a store or a result says it used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

BIBLIOGRAPHY = Path(__file__).with_suffix(".bib")
ALWAYS = ("bltvs_neuro",)
USUAL = (*ALWAYS, "blt_vs", "blt_vs_weights")
"""The toolkit and its model."""

CITED: dict[str, tuple[str, ...]] = {
    # models and what they were trained on
    "architecture is BLT_VS": ("blt_vs",),
    "model is (ecoset|imagenet|shapes)": ("blt_vs",),
    "model is (ecoset|imagenet)": ("blt_vs_weights",),
    "model is (ecoset|b_vs|vnet)": ("mehrer2021",),
    "model is (imagenet|resnet50|cornet_.*|torchvision:.*|timm:.*)": ("russakovsky2015",),
    "model is resnet50": ("he2016",),
    "model is cornet_.*": ("kubilius2018",),
    "model is cornet_s": ("kubilius2019",),
    # data
    "(reader|kind) is kriegeskorte92": ("kriegeskorte2008matching",),
    "reader is algonauts2019": ("cichy2019",),
    "reader is algonauts2023": ("gifford2023", "allen2022"),
    "reader is nsd": ("allen2022",),
    "reader is things_fmri": ("hebart2023",),
    "reader is things_eeg2": ("gifford2022",),
    "reader is bold5000": ("chang2019",),
    "reader is glmsingle": ("prince2022",),
    "reader is bids": ("gorgolewski2016",),
    "reader is mne": ("gramfort2013",),
    "reader is brainscore|benchmark is .*": ("schrimpf2020",),
    "reader is rsatoolbox.*": ("vandenbosch2025",),
    # methods
    r"(reduction\.name|transform) is project(:.*)?": ("li2006",),
    "kind is rsa.*": ("kriegeskorte2008rsa",),
    "kind is rsa_time": ("cichy2016", "maris2007"),
    "metric is crossnobis|metric is cv_.*": ("walther2016",),
    "metric is poisson.*|similarity is rho-a|variance is bootstrap": ("schutt2023",),
    "similarity is tau-a|kind is rsa": ("nili2014",),
    "similarity is (corr|cosine)_cov": ("diedrichsen2021",),
    "variance is jackknife": ("arvesen1969",),
    "correction is fdr|permutations is [1-9].*": ("benjamini1995",),
    "correction is fdr_by": ("benjamini2001",),
    "correction is holm": ("holm1979",),
    "by is gcv": ("golub1979",),
    "solver is BandedRidge": ("nunezelizalde2019", "duprelatour2022"),
    "solver is PLS": ("wold2001",),
    r"spec\.n_permutations is [1-9].*": ("phipson2010", "besag1991"),
    "kind is partition": ("seibold1979",),
    "kind is (decoding|generalisation)": ("king2014",),
}
"""A regular expression of ``name is value`` in the provenance -> entries of the bibliography; names may be dotted."""


def entries() -> dict[str, str]:
    """The bibliography: BibTeX by key."""
    found = re.findall(r"^(@\w+\{(\w+),.*?^\})$", BIBLIOGRAPHY.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return {key: entry for entry, key in found}


def used(provenance: Mapping[str, Any]) -> list[str]:
    """Keys of what a provenance says was used, the toolkit first, in the order of :data:`CITED`.

    Examples
    --------
    >>> used({"model": "shapes", "architecture": "BLT_VS", "options": {"similarity": "tau-a"}})
    ['bltvs_neuro', 'blt_vs', 'nili2014']
    """
    said = set(facts(provenance))
    found = [
        key
        for rule, keys in CITED.items()
        if any(re.fullmatch(rf"(?:.*\.)?(?:{rule})", fact) for fact in said)
        for key in keys
    ]
    return list(dict.fromkeys([*ALWAYS, *found]))


def facts(value: Any, name: str = "") -> Iterator[str]:
    """``dotted.name is value`` of everything that nested mappings and lists hold."""
    if isinstance(value, Mapping):
        for key, held in value.items():
            yield from facts(held, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for held in value:
            yield from facts(held, name)
    else:
        yield f"{name} is {value}"


def bibtex(keys: Iterable[str]) -> str:
    """The entries as one text."""
    known = entries()
    return "\n\n".join(known[key] for key in keys)
