"""The tables of ``bltvs models``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..durable import check_outputs, whole_file
from .base import Table, err, out
from .choices import ModelChoice

if TYPE_CHECKING:
    import pandas as pd

    from ..model import Network

COUNTS = (
    "Multiply-accumulates of one image's logits. here: exact, of what this package computes. original: exact, of what the "
    "released code computes; in the sweep schedule it evaluates every area on the way up and again on the way down. "
    "published: how the table that compares these models counts the original: as if a transposed convolution "
    "multiplied its kernel at every output position, zeros included, and with four operations per unit of a batch "
    "normalisation."
)
FIELDS = (
    "size: side of the square with the area of the pixels that move the middle unit by over 4.55 % of the most, noise "
    "images; deg: at 5 degrees per image. From the gradients of {weights}: other weights have other fields."
)


def all_names() -> list[str]:
    """The models that have names of their own."""
    from ..model.others.zoo import ZOO
    from ..model.released.checkpoints import CHECKPOINTS

    return [*CHECKPOINTS, *ZOO]


def on_meta(name: str, num_classes: int | None = None) -> Network:
    """A model without storage, to be counted."""
    import torch

    from ..model import BLT_VS
    from ..model.others.own import is_own, load_own
    from ..model.others.zoo import build, in_zoo
    from ..model.released.checkpoints import find_checkpoint

    if is_own(name):
        return load_own(name).to("meta")
    with torch.device("meta"):
        return build(name, num_classes=num_classes) if in_zoo(name) else BLT_VS(**find_checkpoint(name).config)


def loaded(name: str, weights: str = "untrained", seed: int = 0, device: str = "cpu") -> Network:
    """A model with its weights; one of a file of its own has those that the file gives it."""
    from ..model.others.own import is_own

    return ModelChoice(model=name, weights="pretrained" if is_own(name) else weights, weights_seed=seed).load(device)


def list_models(names: Sequence[str]) -> None:
    """Print one row per model."""
    from ..model.measure.macs import count_macs

    table = Table(
        title="models",
        caption="GMAC: of one image's logits, and of every site; also 'torchvision:NAME', 'timm:NAME'",
    )
    for column in ("model", "px", "steps", "schedule", "classes", "parameters", "GMAC", "all sites"):
        left = column in ("model", "schedule")
        table.add_column(column, justify="left" if left else "right")
    for name in names:
        model = on_meta(name)
        table.add_row(
            name, str(model.image_size), str(model.timesteps), model.schedule_name,
            str(model.num_classes), f"{parameters(model):,}", f"{count_macs(model) / 1e9:.1f}",
            f"{count_macs(model, 'all') / 1e9:.1f}",
        )  # fmt: skip
    out.print(table)


def parameters(model: Network) -> int:
    """Count the parameters."""
    return sum(p.numel() for p in model.parameters())


def areas_tables() -> None:
    """Print BLT_VS's areas for both image sizes, with what they were designed to."""
    import torch

    from ..model import BLT_VS
    from ..model.measure.design import design_table

    for size in (224, 128):
        with torch.device("meta"):
            simultaneous = BLT_VS(image_size=size)
        design = design_table(size)
        design["onset"] = [simultaneous.onset(f"{area}/bu") for area in design["area"]]
        out.print(_area_table(design, f"areas of BLT_VS for images of {size} px (5 degrees of visual angle)"))


AREA_ROWS = {
    "neurons": ("neurons (million)", "{:.4g}"), "relative": ("relative", "{:.0f}"), "scale": ("√", "{:.0f}"),
    "channels": ("channels", "{:.0f}"), "needed": ("field needed (px)", "{:.1f}"), "got": ("field got (px)", "{}"),
    "degrees": ("field got (deg)", "{:.2f}"), "stride": ("stride (px)", "{}"), "units": ("map (px)", "{}"),
    "onset": ("onset (simult.)", "{}"),
}  # fmt: skip
"""Row of the table of areas, and how its numbers are written."""


def _area_table(design: pd.DataFrame, title: str) -> Table:
    table = Table(
        title=title,
        caption="neurons: pyramidal, central 5 degrees, rough; relative: half of them per 150,000; channels: 32 times the "
        "rounded square root; onset: timestep of the simultaneous schedule; the original's notes list 93 px as needed by "
        "LOC at 224 px, which is not its 2.48 degrees",
    )
    table.add_column("")
    for area in design["area"]:
        table.add_column(area, justify="right")
    design = design.assign(neurons=design["neurons"] / 1e6)
    for name, (head, form) in AREA_ROWS.items():
        table.add_row(head, *("" if value != value else form.format(value) for value in design[name]))
    return table


def measured(names: Sequence[str], weights: str, seed: int, device: str, csv: Path | None, *, overwrite: bool) -> None:
    """Print counts, and effective receptive fields at the onset and at the last timestep of every map."""
    import pandas as pd

    from ..devices import pick_device
    from ..model.measure.macs import measure_macs
    from ..model.released.checkpoints import CHECKPOINTS

    device = str(pick_device(device))
    if csv is not None:
        check_outputs(csv / "counts.csv", csv / "fields.csv", overwrite=overwrite)
    counts: list[dict[str, Any]] = []
    for name in names:
        model = on_meta(name, 565 if name == "resnet50" or name.startswith("cornet_") else None)
        counts.append(
            {
                "model": name,
                "classes": model.num_classes,
                "parameters": parameters(model),
                **measure_macs(model)._asdict(),
            }
        )
    table = Table(title="parameters and multiply-accumulates")
    for column in ("model", "classes", "parameters", "here", "original", "published"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for row in counts:
        table.add_row(
            row["model"], str(row["classes"]), f"{row['parameters']:,}",
            *(f"{row[key]:.4g}" for key in ("exact", "original", "published")),
        )  # fmt: skip
    out.print(table)
    out.print(COUNTS, highlight=False)
    if set(names) & set(CHECKPOINTS):
        areas_tables()
    fields = pd.concat([_measured_fields(name, weights, seed, device) for name in names], ignore_index=True)
    if csv is not None:
        for name, frame in (("counts.csv", pd.DataFrame(counts)), ("fields.csv", fields)):
            with whole_file(csv / name, overwrite=overwrite) as part:
                frame.to_csv(part, index=False)
        out.print(f"wrote {csv / 'counts.csv'} and {csv / 'fields.csv'}", highlight=False, soft_wrap=True)


def _measured_fields(name: str, weights: str, seed: int, device: str) -> pd.DataFrame:
    import pandas as pd

    from ..model import State
    from ..model.measure.fields import effective_fields
    from ..model.others.own import is_own

    model = loaded(name, weights, seed, device)
    weights = "given" if is_own(name) else weights
    states = []
    for area in model.areas:
        steps = [t for t in model.timesteps_of(f"{area}/bu") if not model.is_constant(State(area, "bu", t))]
        if steps and len(model.shape(f"{area}/bu")) == 3:
            states += [State(area, "bu", t) for t in dict.fromkeys((steps[0], steps[-1]))]
    with err.status(f"receptive fields of {name}: gradients of {len(states)} maps"):
        fields = effective_fields(model, states, seed=seed)
    rows = [(name, s.area, s.timestep, model.shape(f"{s.area}/bu")[1], size, degrees) for s, size, degrees in fields]
    frame = pd.DataFrame(rows, columns=["model", "area", "timestep", "units", "size", "degrees"])
    about = {
        "untrained": f"untrained weights (seed {seed})",
        "pretrained": "the released weights",
        "given": "the file's weights",
    }
    frame = frame.assign(weights=about.get(weights, weights), weights_sha256=model.provenance["weights_sha256"])
    table = Table(title=f"effective receptive fields of {name}, bottom-up, {about.get(weights, weights)}")
    for column in ("area", "map", "timestep", "size (px)", "(deg)"):
        table.add_column(column, justify="left" if column == "area" else "right")
    for row in frame.itertuples():
        table.add_row(
            str(row.area), f"{row.units} x {row.units}", str(row.timestep), f"{row.size:.1f}", f"{row.degrees:.2f}"
        )
    out.print(table)
    out.print(FIELDS.format(weights=about.get(weights, f"the weights {weights}")), highlight=False)
    return frame
