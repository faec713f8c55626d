"""The loop: steps, epochs, checkpoints; stopped or killed at any moment, it goes on to the same numbers."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from ...devices import why_slow
from ...durable import write_durably
from ...errors import DataError
from ...model import BLT_VS
from ...model.released.weights import read_weights
from ..config import TrainingConfig
from ..evaluation.accuracy import measure
from ..optimisation.clipping import clip_gradients, unit_axes
from ..optimisation.loss import Criterion, class_weights
from ..optimisation.schedule import LearningRate
from ..pictures.augment import Augment
from ..pictures.data import TrainingPictures, open_split
from ..pictures.order import Order
from ..release.export import finish
from .build import build_model, freeze_unused, start_from
from .checkpoint import BEST, save_checkpoint
from .folder import begin, earlier
from .interrupts import ignore_interrupts, stop_when_asked
from .logs import Board, Row, write_log
from .processes import Processes, joined

log = logging.getLogger(__name__)

LOOK_EVERY = 10
"""Steps between looks at the loss and at whether to stop: each look waits for the GPU."""

HALVES: dict[str, torch.dtype] = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Progress:
    """How far a run is: ``step`` of ``steps`` in ``epoch``, from 1, of ``epochs`` at the most (0: nobody knows).

    ``loss`` is the mean over this epoch's steps so far, ``rate`` images per second over all processes; ``row`` is what the
    log says at the end of an epoch.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    learning_rate: float
    rate: float
    row: Row | None = None


def train(
    config: TrainingConfig, folder: str | Path, *, overwrite: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Path:  # fmt: skip
    """Train a model and export it; returns the folder of the exported model.

    A run that was stopped goes on, to the numbers it would have had without a stop.

    Parameters
    ----------
    folder : path
        Receives ``config.json``, ``checkpoint.pt``, ``log.csv``, ``tensorboard/`` and at the end ``model/``, which
        :func:`bltvs_neuro.load_model` takes, and ``evaluation/``.
    overwrite : bool
        Start anew where there is a run already.
    progress : callable, optional
        Receives a :class:`Progress` now and then, in the first process.

    Raises
    ------
    SpecError
        A config that does not fit the data or the run in the folder.
    DataError
        Data or a checkpoint that cannot be read, or a loss that is not finite.
    KeyboardInterrupt
        SIGINT or SIGTERM has arrived; a checkpoint was written.
    """
    folder = Path(folder)
    with joined(config.run.device) as processes:
        run = Run(config, folder, processes, overwrite=overwrite)
        with stop_when_asked() as stop:  # before and after, a signal ends the command as it ends any other
            run.go(stop, progress)
        if processes.first:
            classes = run.train_data.classes
            finish(config, folder, run.history, run.best_model(), classes, processes.device, run.started_from)
        processes.wait()
    return folder / "model"


class Run:
    """Everything that a run consists of, and its state: ``step`` finished steps, and the log of the finished epochs."""

    def __init__(self, config: TrainingConfig, folder: Path, processes: Processes, *, overwrite: bool = False) -> None:
        self.config, self.folder, self.processes = config, folder, processes
        device, options = processes.device, config.run
        state = earlier(config, folder, overwrite=overwrite)
        if reason := why_slow(device, options.precision):
            log.warning("%s; run.precision = 'float32' is the faster choice", reason)
        image_size = int(config.model.get("image_size", 224))
        self.train_data = open_split(config.data, config.data.train, image_size)
        self.val_data = open_split(config.data, config.data.val, image_size, self.train_data.classes)
        if config.data.test:  # what comes last is opened first
            open_split(config.data, config.data.test, image_size, self.train_data.classes)
        weights = torch.ones(len(self.train_data.classes))
        if config.optimizer.class_weights:
            weights = class_weights(self.train_data.labels, self.train_data.classes)
        self.criterion = Criterion(weights.to(device), config.optimizer.label_smoothing)

        self.model = build_model(config.model, len(self.train_data.classes), config.seed)
        self.started_from: dict[str, Any] = {}
        if options.start_from and state is None:
            self.started_from = start_from(self.model, options.start_from)
        freeze_unused(self.model)
        self.model.to(device)
        if options.channels_last:
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if options.compile:
            self.model.compile_cells()
        self.axes = {p: axis for p, axis in unit_axes(self.model).items() if p.requires_grad}
        self.optimizer = torch.optim.Adam(list(self.axes), lr=config.optimizer.learning_rate)
        self.rate = LearningRate(config.optimizer, options.epochs)
        self.scaler = torch.amp.GradScaler(device.type, enabled=options.precision == "float16")
        self.order = Order(len(self.train_data), options.batch_size, config.seed)
        size = options.epoch_size or self.order.steps_per_pass * options.batch_size
        self.steps = max(1, size // options.batch_size)
        self.step, self.history, self.best = 0, [], math.inf  # type: ignore[var-annotated]
        self.sums = torch.zeros(2, dtype=torch.float64, device=device)
        if state is not None:
            self._restore(state)
        self.network: nn.Module = self.model
        if processes.world > 1:
            self.network = DistributedDataParallel(self.model, [device] if device.type == "cuda" else None)
        if device.type == "cuda":
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
        begin(config, folder, processes, goes_on=state is not None, overwrite=overwrite)

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return len(self.history)

    @property
    def done(self) -> bool:
        """Whether there is no epoch left."""
        epochs = self.config.run.epochs
        return self.rate.converged or (0 < epochs <= self.epoch)

    def go(self, stop: threading.Event, progress: Callable[[Progress], None] | None) -> None:
        """Train until the end, or until ``stop`` is set; then save and raise KeyboardInterrupt."""
        if self.done:
            return
        options, processes = self.config.run, self.processes
        board = Board(self.folder, self.epoch + 1) if processes.first else None
        batches = self._batches()
        saved, started, begun = time.monotonic(), time.monotonic(), self.step
        try:
            while not self.done:
                self.model.train()
                epoch_started = time.monotonic()
                for group in self.optimizer.param_groups:
                    group["lr"] = self.rate.value
                while self.step < (self.epoch + 1) * self.steps:
                    self._one_step(*next(batches))
                    in_epoch = self.step - self.epoch * self.steps
                    if self.step % LOOK_EVERY and in_epoch < self.steps:
                        continue
                    loss = self._look()
                    # flags travel between processes so that all of them save or stop at the same step
                    late = time.monotonic() - saved > 60 * options.save_minutes
                    flags = torch.tensor([stop.is_set(), late], dtype=torch.int32, device=processes.device)
                    stopped, late = processes.summed(flags).tolist()
                    if stopped or (late and in_epoch < self.steps):
                        self.save()
                        saved = time.monotonic()
                    if stopped:
                        raise KeyboardInterrupt
                    if progress and processes.first:
                        rate = (self.step - begun) * options.batch_size / (time.monotonic() - started)
                        progress(self._progress(in_epoch, loss, rate))
                row = self._finish_epoch(time.monotonic() - epoch_started)
                self.save()
                saved = time.monotonic()
                if board is not None:
                    write_log(self.folder, self.history)
                    board.write(row)
                if progress and processes.first:
                    progress(self._progress(self.steps, row["train_loss"], 0.0, row))
        finally:
            if board is not None:
                board.close()

    def save(self) -> None:
        """Write a checkpoint."""
        generators = self.processes.gathered(torch.get_rng_state())
        sums = self.processes.summed(self.sums.clone())
        if self.processes.first:
            save_checkpoint(
                self.folder,
                {
                    "config": self.config.to_json(), "step": self.step, "history": self.history, "best": self.best,
                    "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                    "rate": self.rate.state_dict(), "scaler": self.scaler.state_dict(), "sums": sums.cpu(),
                    "torch_rng": generators, "data": self._data_spec(), "started_from": self.started_from,
                    "cuda_rng": torch.cuda.get_rng_state() if self.processes.device.type == "cuda" else None,
                },
            )  # fmt: skip
        self.processes.wait()

    def best_model(self) -> BLT_VS:
        """A model with the weights that are exported: of the lowest validation loss, or the last."""
        state, best = self.model.state_dict(), self.folder / BEST
        if self.config.run.export == "best" and best.is_file():
            state = read_weights(best, BEST)
        model = build_model(self.config.model, self.model.num_classes, self.config.seed)
        model.load_state_dict(state)
        return model.eval()

    def _data_spec(self) -> list[Any]:
        """What must be the same for the order of pictures to mean the same."""
        return [len(self.train_data), len(self.val_data), list(self.train_data.classes)]

    def _restore(self, state: dict[str, Any]) -> None:
        if list(state["data"]) != self._data_spec():
            raise DataError(
                f"the data are not those of the run in {self.folder}: it had {state['data'][0]} and {state['data'][1]} "
                f"pictures of {len(state['data'][2])} classes, these are {len(self.train_data)} and {len(self.val_data)} "
                f"of {len(self.train_data.classes)}"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rate.load_state_dict(state["rate"])
        self.started_from = dict(state["started_from"])
        self.scaler.load_state_dict(state["scaler"])
        self.step, self.best, self.history = state["step"], state["best"], [dict(row) for row in state["history"]]
        if self.processes.first:
            self.sums.copy_(state["sums"])
        generators = state["torch_rng"]
        torch.set_rng_state(generators[self.processes.rank % len(generators)])
        if self.processes.device.type == "cuda" and state["cuda_rng"] is not None:
            torch.cuda.set_rng_state(state["cuda_rng"], self.processes.device)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        options, processes = self.config.run, self.processes
        augment = Augment(self.config.augment, self.model.transform)
        pictures = TrainingPictures(self.train_data, augment, self.config.seed)
        loader = DataLoader(
            pictures, batch_sampler=self.order.share(self.step, processes.rank, processes.world),
            num_workers=options.workers, prefetch_factor=4 if options.workers else None,
            pin_memory=processes.device.type == "cuda", worker_init_fn=ignore_interrupts,
        )  # fmt: skip
        return iter(loader)

    def _autocast(self) -> torch.autocast:
        precision, kind = self.config.run.precision, self.processes.device.type
        return torch.autocast(kind, dtype=HALVES.get(precision, torch.bfloat16), enabled=precision in HALVES)

    def _one_step(self, pixels: Tensor, labels: Tensor) -> None:
        device = self.processes.device
        pixels, labels = pixels.to(device, non_blocking=True), labels.to(device, non_blocking=True)
        images = self.model.transform.scale(pixels)
        if self.config.run.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        normaliser = self.processes.summed(self.criterion.normaliser(labels))
        with self._autocast():
            outputs = self.network(images)
        loss = self.criterion.total(outputs, labels) / normaliser
        self.optimizer.zero_grad(set_to_none=True)
        # gradients are averaged over processes, but the loss of the whole batch is the sum of its parts
        self.scaler.scale(loss * self.processes.world).backward()
        if self.config.optimizer.clip:
            self.scaler.unscale_(self.optimizer)
            clip_gradients(self.axes, self.config.optimizer.clip, self.config.optimizer.clip_by)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        with torch.no_grad():
            correct = torch.stack([(output.argmax(1) == labels).float().mean() for output in outputs]).mean()
            share = len(labels) / self.config.run.batch_size
            self.sums += torch.stack([loss.double(), share * correct.double()])
        self.step += 1

    def _look(self) -> float:
        """Mean loss of this epoch's steps so far; refuses one that is not finite."""
        sums = self.processes.summed(self.sums.clone())
        loss = float(sums[0]) / (self.step - self.epoch * self.steps)
        if not math.isfinite(loss):
            raise DataError(
                f"the loss is not finite at step {self.step} (epoch {self.epoch + 1}); the last checkpoint is from before. "
                "Lower optimizer.learning_rate, raise optimizer.warmup_epochs, or use precision = 'float32'"
            )
        return loss

    def _finish_epoch(self, seconds: float) -> Row:
        """Validate, log, step the schedule, and keep the weights if they are the best so far."""
        sums = self.processes.summed(self.sums.clone()) / self.steps
        self.model.eval()
        scores = measure(
            self.model, self.val_data, self.criterion, self.processes, batch_size=self.config.run.val_batch_size,
            workers=self.config.run.workers, autocast=self._autocast,
        )  # fmt: skip
        row: Row = {
            "epoch": self.epoch + 1, "step": self.step, "images": self.step * self.config.run.batch_size,
            "learning_rate": self.rate.value, "train_loss": float(sums[0]), "train_top1": 100 * float(sums[1]),
            "val_loss": scores.loss,
        }  # fmt: skip
        for name, values in (("val_top1", scores.top1), ("val_top5", scores.top5)):
            row |= {f"{name}_t{t}": float(v) for t, v in zip(scores.timesteps, values, strict=True)}
        row["seconds"] = seconds
        if scores.loss < self.best:
            self.best = scores.loss
            if self.processes.first:
                from safetensors.torch import save

                state = {key: value.detach().cpu().contiguous() for key, value in self.model.state_dict().items()}
                write_durably(self.folder / BEST, save(state), overwrite=True)
        self.rate.step(scores.loss)
        self.history.append(row)
        self.sums.zero_()
        return row

    def _progress(self, step: int, loss: float, rate: float, row: Row | None = None) -> Progress:
        epoch = self.epoch if row is not None else self.epoch + 1
        return Progress(epoch, self.config.run.epochs, step, self.steps, loss, self.rate.value, rate, row)
