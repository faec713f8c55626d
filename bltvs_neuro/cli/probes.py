"""``bltvs decode`` and ``bltvs drive``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ..durable import check_outputs
from .common import Device, ImageSize, ModelName, Overwrite, Seed, Weights, blank_model, chosen_model, err, guarded, out


@guarded
def decode(
    store: Annotated[Path, typer.Argument(help="A finished store.")],
    labels: Annotated[str, typer.Option("--labels", help="Column of the stimuli to decode, such as 'category'.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Results: a .csv or .nc file.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Accuracy over timesteps: .png, .pdf or .svg.")] = None,
    matrices: Annotated[Path | None, typer.Option(help="Temporal generalisation: .png, .pdf or .svg.")] = None,
    sites: Annotated[str, typer.Option(help="'V4/td', 'V1/bu,V4/td' or 'all'.")] = "all",
    groups: Annotated[
        str | None, typer.Option(help="Column of what may not be split between training and test, such as 'object'.")
    ] = None,
    folds: Annotated[int, typer.Option(help="Of the cross-validation.")] = 5,
    classifier: Annotated[str, typer.Option(help="'logistic' or 'ridge'.")] = "logistic",
    permutations: Annotated[int, typer.Option(min=0, help="Of the labels, for p values; takes as many fits.")] = 0,
    seed: Annotated[int, typer.Option(help="Of folds and permutations.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Decode a label of the stimuli from every site and timestep, by a cross-validated linear classifier.

    Examples
    --------
    `bltvs decode acts.h5 --labels category -o decoding.csv --figure decoding.png --matrices generalisation.png`

    `bltvs decode acts.h5 --labels category --groups object --sites V4/bu,V4/td --permutations 200`
    """
    from ..errors import unknown
    from ..figures import check_figure, save_figure
    from ..probes import decode as run
    from ..store import open_store

    if output is not None and output.suffix not in (".csv", ".nc"):
        raise unknown("ending of results", output.suffix, [".csv", ".nc"])
    for drawing in filter(None, (figure, matrices)):
        check_figure(drawing)
    check_outputs(*filter(None, (output, figure, matrices)), overwrite=overwrite)
    with open_store(store) as opened, err.status("decoding"):
        result = run(
            opened, labels, sites=sites, groups=groups, folds=folds, classifier=classifier, permutations=permutations, seed=seed
        )  # fmt: skip
    if output is not None:
        write = result.to_csv if output.suffix == ".csv" else result.to_netcdf
        write(output, overwrite=overwrite)
    if figure is not None:
        save_figure(result.plot_time_course(), figure, overwrite=overwrite)
    if matrices is not None:
        save_figure(result.plot_generalisation(), matrices, overwrite=overwrite)
    course = result.time_course()
    table = Table(title=f"balanced accuracy of {labels}, chance {result.chance:.3f}")
    timesteps = sorted(course["timestep"].unique())
    for column in ("site", *(f"t{t}" for t in timesteps)):
        table.add_column(column, justify="left" if column == "site" else "right")
    for site, part in course.groupby("site", sort=False):
        cells = {
            int(row["timestep"]): f"{row['accuracy']:.3f}" + ("*" if row["p"] < 0.05 else "")
            for row in part.to_dict("records")
        }
        table.add_row(str(site), *(cells.get(int(t), "-") for t in timesteps))
    out.print(table)
    if result.provenance["store"].get("weights") == "untrained":
        err.print("[yellow]the weights are untrained: this is what a random network lets decode[/]")
    if permutations:
        out.print(f"* p < 0.05, {permutations} permutations, not corrected for the number of sites and timesteps")
    for path in (output, figure, matrices):
        if path is not None:
            out.print(f"wrote {path}", highlight=False, soft_wrap=True)


@guarded
def drive(
    site: Annotated[str, typer.Argument(help="Where: 'V4/bu', or 'Readout/bu' for classes.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the images, and figure.png in it.")],
    timesteps: Annotated[str, typer.Option(help="'3', '0:6' or '0,2,5'; a row of the figure each.")],
    channels: Annotated[str, typer.Option(help="'0,7,20': an image each.")],
    model: ModelName = "ecoset",
    weights: Weights = "pretrained",
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="Drive the whole map, not its central unit.")
    ] = False,
    steps: Annotated[int, typer.Option(min=1, help="Of gradient ascent.")] = 200,
    smoothness: Annotated[float, typer.Option(help="Weight of the penalty on rough images.")] = 0.05,
    lesion: Annotated[
        list[str] | None, typer.Option(metavar="TARGET[@TIMESTEPS][=ACTION]", help="As for `bltvs extract`.")
    ] = None,
    seed: Seed = 0,
    image_size: ImageSize = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Find images that drive channels of a site at chosen timesteps, by gradient ascent from seeded noise.

    Example: `bltvs drive V4/bu -o driven/ --timesteps 3,6,9 --channels 0,7,20`
    """
    from ..devices import pick_device
    from ..errors import SpecError
    from ..figures import save_figure
    from ..probes import drive as run
    from ..probes import plot_driven
    from ..probes.driven import image_paths
    from ..probes.driver import check_drivable
    from ..schema import Site, parse_timesteps

    try:
        chosen = [int(part) for part in channels.split(",")]
    except ValueError:
        raise SpecError(f"channels are written '0,7,20'; got {channels!r}") from None
    check_outputs(output / "figure.png", overwrite=overwrite)
    where, parsed = str(pick_device(device)), Site.parse(site)
    blank = blank_model(model, image_size, lesion)
    if blank is not None:
        for tried in parse_timesteps(timesteps, blank.timesteps):
            check_drivable(blank, parsed, tried, chosen)
    network = chosen_model(model, weights, seed, image_size, where)
    if lesion:
        network.lesion(*lesion)
    chosen_timesteps = parse_timesteps(timesteps, network.timesteps)
    for tried in chosen_timesteps:
        check_drivable(network, parsed, tried, chosen)
    check_outputs(
        *(path for t in chosen_timesteps for path in image_paths(output, site, t, chosen)), overwrite=overwrite
    )
    results = []
    for timestep in chosen_timesteps:
        with err.status(f"driving {site} at timestep {timestep}"):
            results.append(
                run(
                    network, site, timestep, chosen, where="everywhere" if everywhere else "centre", steps=steps,
                    smoothness=smoothness, seed=seed,
                )
            )  # fmt: skip
        results[-1].save(output, overwrite=overwrite)
    save_figure(plot_driven(results), output / "figure.png", overwrite=overwrite)
    for result in results:
        gained = ", ".join(
            f"{a:.2f} -> {b:.2f}" for a, b in zip(result.activations[:, 0], result.activations[:, -1], strict=True)
        )
        out.print(f"timestep {result.provenance['timestep']}: {gained}", highlight=False)
    out.print(f"wrote {output}", highlight=False, soft_wrap=True)
