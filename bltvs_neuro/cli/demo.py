"""``bltvs demo``: the main job from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ..durable import check_outputs, whole_file
from ..errors import DataError, WeightsError, counted
from .base import err, escape, goes_on, out, shown
from .choices import Device, Overwrite

if TYPE_CHECKING:
    from ..model import Network
    from ..stimuli import StimulusSet


def demo(
    *,
    output: Annotated[Path, Parameter(alias="-o")] = Path("bltvs-demo"),
    model: Literal["imagenet", "shapes"] = "imagenet",
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Run the main job: V1 to LOC, both streams, all timesteps, into a store with a figure.

    Takes the 92 objects of Kriegeskorte et al. (2008) and the pretrained ImageNet model where they can be had (a
    download, a cache, or the folder that BLTVS_DATA names); says plainly what it falls back to where they cannot.

    `bltvs demo --model shapes` takes a small model that comes with the package, trained on objects that the package
    draws, and shows it some it has not seen.

    Parameters
    ----------
    output : path
        Folder for the store and the figure.
    model : {"imagenet", "shapes"}
        The model; `shapes` needs no network.
    """
    from ..devices import pick_devices
    from ..extraction.options import ExtractRun
    from ..extraction.plot import activation_over_time, plot_activation
    from ..extraction.run import extract
    from ..figures import save_figure
    from ..store import open_store

    pick_devices(device)
    check_outputs(output / "demo.h5", overwrite=True)
    stimuli, which = _stimuli() if model == "imagenet" else _drawn()
    network, weights = _model(model)
    # other weights or stimuli than last time make another store, so that a demo never mixes them
    name = f"{network.provenance['model']}_{weights}_{which}"
    table, figure = output / f"{name}.csv", output / f"{name}.png"
    check_outputs(table, figure, overwrite=overwrite)
    with goes_on(), shown(f"{network.provenance['model']} ({weights}), {counted(len(stimuli), 'image')}"):
        store_path = output / f"{name}.h5"
        path = extract(
            network, stimuli, store_path, reduce="pool:4", resume=not overwrite, run=ExtractRun(device=device)
        )
    with open_store(path) as store:
        summary, about = activation_over_time(store), store.provenance
    axes = plot_activation(summary, which.replace("_", " "), len(stimuli), provenance=about)
    save_figure(axes, figure, dpi=200, about=about, overwrite=True)
    with whole_file(table, overwrite=True) as part:
        summary.assign(model=network.provenance["model"], weights=weights, stimuli=which).to_csv(part, index=False)
    out.print(
        f"store   {path}\nfigure  {figure}\ntable   {table}",
        highlight=False,
        soft_wrap=True,
    )
    out.print(
        f"next    bltvs info {path}\n        bltvs verify {path}\n        python -c \"import bltvs_neuro as bn; "
        f"print(bn.open_store('{path}')['V4/td'])\"",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def _stimuli() -> tuple[StimulusSet, str]:
    from ..stimuli import StimulusSet

    try:
        return StimulusSet.from_mat92(), "92_objects"
    except DataError as error:
        err.print(
            f"[yellow]the 92 objects cannot be had:[/] {escape(str(error))}\n"
            "[yellow]using 24 pictures that the package makes itself[/]",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
        return StimulusSet.synthetic(24), "24_made_pictures"


def _drawn() -> tuple[StimulusSet, str]:
    from ..stimuli import StimulusSet

    return StimulusSet.shapes(40), "40_drawn_objects"


def _model(name: str) -> tuple[Network, str]:
    from ..model.released.checkpoints import load_model

    if name == "shapes":
        return load_model("shapes"), "trained"
    try:
        return load_model("imagenet"), "pretrained"
    except WeightsError as error:
        err.print(
            f"[yellow]the pretrained weights cannot be had:[/] {escape(str(error))}\n[yellow]using untrained weights "
            "(seed 0), stamped as such in every output: these activations say nothing about a trained model. "
            "`bltvs demo --model shapes` runs a small trained model that comes with the package[/]",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
        return load_model("imagenet", weights="untrained", seed=0), "untrained"
