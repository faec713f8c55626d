"""``bltvs decode`` and ``bltvs drive``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ..durable import check_outputs
from ..features.select import Select
from .base import Table, err, flat, out, told_in
from .choices import Device, ModelChoice, Output, Overwrite


@told_in("probes/decoder.py:decode", "groups", "folds", "classifier", "n_permutations", "seed")
def decode(
    store: Path,
    /,
    *,
    labels: str,
    output: Annotated[Output, Parameter(name="*")] = Output(),
    figure: Path | None = None,
    matrices: Path | None = None,
    select: Annotated[Select, flat("Sites and timesteps")] = Select(),
    groups: str | None = None,
    folds: int = 5,
    classifier: Literal["logistic", "ridge"] = "logistic",
    n_permutations: int = 0,
    seed: int = 0,
) -> None:
    """Decode a label of the stimuli from every site and timestep, by a cross-validated linear classifier.

    Parameters
    ----------
    store : path
        A finished store.
    labels : str
        Column of the stimuli to decode, such as `category`.
    figure : path, optional
        Accuracy over timesteps: .png, .pdf or .svg.
    matrices : path, optional
        Temporal generalisation: .png, .pdf or .svg.

    Examples
    --------
    `bltvs decode acts.h5 --labels category -o decoding.csv --figure decoding.png --matrices generalisation.png`

    `bltvs decode acts.h5 --labels category --groups object --areas V4/bu,V4/td --n-permutations 200`
    """
    path = output.output
    from ..errors import unknown
    from ..figures import check_figure, save_figure
    from ..probes import decode as run
    from ..store import open_store

    if path is not None and path.suffix not in (".csv", ".nc"):
        raise unknown("ending of results", path.suffix, [".csv", ".nc"])
    for drawing in filter(None, (figure, matrices)):
        check_figure(drawing)
    check_outputs(*filter(None, (path, figure, matrices)), overwrite=output.overwrite)
    with open_store(store) as opened, err.status("decoding"):
        result = run(
            opened, labels, sites=select, groups=groups, folds=folds, classifier=classifier,
            n_permutations=n_permutations, seed=seed,
        )  # fmt: skip
    if path is not None:
        write = result.to_csv if path.suffix == ".csv" else result.save
        write(path, overwrite=output.overwrite)
    if figure is not None:
        save_figure(result.plot_time_course(), figure, overwrite=output.overwrite)
    if matrices is not None:
        save_figure(result.plot_generalisation(), matrices, overwrite=output.overwrite)
    course = result.time_course()
    table = Table(title=f"balanced accuracy of {labels}, chance {result.chance:.3f}")
    timesteps = sorted(course["timestep"].unique())
    for column in ("site", *(f"t{t}" for t in timesteps)):
        table.add_column(column, justify="left" if column == "site" else "right")
    for site, part in course.groupby("site", sort=False):
        cells = {
            int(row["timestep"]): f"{row['accuracy']:.3f}" + ("*" if row["p_corrected"] <= 0.05 else "")
            for row in part.to_dict("records")
        }
        table.add_row(str(site), *(cells.get(int(t), "-") for t in timesteps))
    out.print(table)
    if result.provenance["store"].get("weights") == "untrained":
        err.print("[yellow]the weights are untrained: this is what a random network lets decode[/]")
    if n_permutations:
        out.print(f"* p <= 0.05 over all sites and timesteps together, {n_permutations} permutations")
    for written in filter(None, (path, figure, matrices)):
        out.print(f"wrote {written}", highlight=False, soft_wrap=True)


@told_in("probes/driver.py:drive", "steps", "smoothness", "seed")
def drive(
    site: str,
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    timesteps: str,
    channels: str,
    model: Annotated[ModelChoice, flat("Model")] = ModelChoice(),
    everywhere: bool = False,
    steps: int = 200,
    smoothness: float = 0.05,
    lesion: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = (),
    seed: int = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Find images that drive channels of a site at chosen timesteps, by gradient ascent from seeded noise.

    Parameters
    ----------
    site : str
        Where: `V4/bu`, or `Readout/bu` for classes.
    output : path
        Folder for the images, and figure.png in it.
    timesteps : str
        `3`, `0:6` or `0,2,5`; a row of the figure each.
    channels : str
        `0,7,20`: an image each.
    everywhere : bool
        Drive the whole map, not its central unit.
    lesion : str, optional
        As for `bltvs extract`.

    Examples
    --------
    `bltvs drive V4/bu -o driven/ --timesteps 3,6,9 --channels 0,7,20`
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
    blank = model.blank(lesion)
    if blank is not None:
        for tried in parse_timesteps(timesteps, blank.timesteps):
            check_drivable(blank, parsed, tried, chosen)
    network = model.load(where)
    if lesion:
        network.lesion(*lesion)
    chosen_timesteps = parse_timesteps(timesteps, network.timesteps)
    for tried in chosen_timesteps:
        check_drivable(network, parsed, tried, chosen)
    saved = {t: output / f"{site.replace('/', '_')}_t{t}.nc" for t in chosen_timesteps}
    images = [path for t in chosen_timesteps for path in image_paths(output, site, t, chosen)]
    check_outputs(*images, *saved.values(), output / "figure.png", overwrite=overwrite)
    results = []
    for timestep in chosen_timesteps:
        with err.status(f"driving {site} at timestep {timestep}"):
            results.append(
                run(
                    network, site, timestep, chosen, where="everywhere" if everywhere else "centre", steps=steps,
                    smoothness=smoothness, seed=seed,
                )
            )  # fmt: skip
        results[-1].save_images(output, overwrite=overwrite)
        results[-1].save(saved[timestep], overwrite=overwrite)
    save_figure(plot_driven(results), output / "figure.png", overwrite=overwrite)
    for result in results:
        gained = ", ".join(
            f"{a:.2f} -> {b:.2f}" for a, b in zip(result.activations[:, 0], result.activations[:, -1], strict=True)
        )
        out.print(f"timestep {result.provenance['timestep']}: {gained}", highlight=False)
    out.print(f"wrote {output}", highlight=False, soft_wrap=True)
