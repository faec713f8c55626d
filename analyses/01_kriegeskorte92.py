"""Which area, stream and timestep of BLT_VS is most like human IT? The 92 objects of Kriegeskorte et al. (2008).

Run ``uv run python analyses/01_kriegeskorte92.py``. Data come from the folder that BLTVS_DATA names, or are fetched. The
pretrained ImageNet model is taken where it can be had; without network the weights are untrained, which the figure, the
tables and their file names say. A store that exists already is used with ``--store``.

Makes, in ``analyses/01_kriegeskorte92/`` (or ``--output``):

- ``*_sites.csv``, ``*_sites_*.png``: every site and timestep against the RDMs of four subjects.
- ``reference.csv``, ``reference.png``: the eight model RDMs that come with the data (monkey IT among them) and mean behaviour,
  by a similarity that is fair to models with ties (rho-a), with the noise ceiling.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import pandas as pd
import xarray as xr

import bltvs_neuro as bn
from bltvs_neuro.errors import WeightsError
from bltvs_neuro.neural import make_rdms, rdm_stimulus_ids
from bltvs_neuro.rsa import (
    average_rdms,
    compare_rdms,
    compute_rdms,
    noise_ceiling,
    save_comparison,
    session_reliability,
)

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--store", type=Path, help="a store of the 92 objects; made if left out")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "01_kriegeskorte92")
    parser.add_argument("--similarity", default="corr_cov")
    parser.add_argument("--bootstrap", type=int, default=1000)
    options = parser.parse_args()
    logging.basicConfig(format="%(levelname)s %(message)s")
    options.output.mkdir(parents=True, exist_ok=True)

    brain = bn.load_rdms("kriegeskorte92")
    check_the_data(brain)
    path = options.store or make_store(options.output)
    with bn.open_store(path) as acts:
        weights = f"{acts.provenance['model']}_{acts.provenance['weights']}"
        rdms = compute_rdms(acts, metric="correlation")
        categories = dict(zip(acts.stimuli["stimulus_id"], acts.stimuli["category"], strict=True))
    print(f"weights: {weights.replace('_', ', ')}; {len(rdms)} RDMs; similarity {options.similarity}")

    result = compare_rdms(rdms, brain, similarity=options.similarity, bootstrap=options.bootstrap, seed=0)
    prefix = options.output / f"{weights}_sites"
    for file in save_comparison(result, rdms, brain, prefix, categories=categories, formats=("png", "pdf")):
        print(f"wrote {file}")
    columns = ["model", "score", "ci_low", "ci_high", "p_zero_corrected", "p_ceiling_corrected", "best_share"]
    print(result.to_frame().sort_values("score", ascending=False)[columns].head(10).to_string(index=False))

    reference = compare_rdms(reference_models(), brain, similarity="rho-a", bootstrap=0)
    table = reference.to_frame().sort_values("score", ascending=False)
    table.to_csv(options.output / "reference.csv", index=False)
    reference.plot_models().savefig(options.output / "reference.png", dpi=300)
    print(table[[c for c in columns if c != "best_share"]].to_string(index=False))


def check_the_data(brain: xr.DataArray) -> None:
    """Stop if the brains are not those the published figures are about."""
    ceiling = noise_ceiling(average_rdms(brain), "pearson")
    reliability = session_reliability(brain).attrs["mean"]
    print(f"noise ceiling {ceiling.lower:.4f} to {ceiling.upper:.4f} (pearson); sessions agree by {reliability:.4f}")
    if round(ceiling.lower, 4) != 0.3944 or round(reliability, 4) != 0.2264:
        raise SystemExit("these are not the data of the 92 objects: the noise ceiling should be 0.3944 to 0.6804")


def make_store(folder: Path) -> Path:
    """Record the model's responses to the 92 objects; says which weights it took."""
    try:
        model = bn.load_model("imagenet")
    except WeightsError as error:
        print(
            f"the pretrained weights cannot be had: {error}\nUNTRAINED weights: scores say nothing about a trained model"
        )
        model = bn.load_model("imagenet", weights="untrained", seed=0)
    name = f"{model.provenance['model']}_{model.provenance['weights']}.h5"
    return bn.extract(model, bn.StimulusSet.from_mat92(), folder / name, "V1:LOC", reduce=bn.pool(4))


def reference_models() -> xr.DataArray:
    """The models that come with the data, monkey IT among them, and mean behaviour."""
    models = bn.load_rdms("kriegeskorte92:models")
    behaviour = average_rdms(bn.load_rdms("kriegeskorte92:behaviour"), over="subject")
    rows = pd.concat(
        [
            pd.DataFrame(models.values, index=[str(n) for n in models["name"].values]),
            pd.DataFrame(behaviour.values, index=["mean behaviour"]),
        ]
    )
    return make_rdms(rows.values, rdm_stimulus_ids(models), metric="various", name=list(rows.index))


if __name__ == "__main__":
    main()
