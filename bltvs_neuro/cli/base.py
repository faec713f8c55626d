"""How a command runs: parameters, types and help are those of its function and option classes; an error is one sentence.

A command is a function with annotations and a NumPy docstring. Option classes (:class:`bltvs_neuro.options.Run`, solvers,
...) become flags of the same names, with the same defaults and help as in Python.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cyclopts import App, CycloptsError, Group, Parameter
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table as RichTable

from ..durable import reason
from ..errors import BltvsError, SpecError, spelled_as
from ..progress import Progress, show_progress
from . import signals

F = TypeVar("F", bound=Callable[..., Any])

out = Console(markup=False)  # names of files and labels may hold brackets
err = Console(stderr=True)


class Table(RichTable):
    """A table whose first column is whole on a narrow terminal; in others cells break into lines, and nothing is cut."""

    def __init__(self, **options: Any) -> None:
        usual: dict[str, Any] = {"box": SIMPLE_HEAD, "collapse_padding": True, "pad_edge": False}
        super().__init__(**usual | options)

    def add_column(self, header: Any = "", **options: Any) -> None:  # type: ignore[override]
        """As rich's."""
        usual: dict[str, Any] = {"no_wrap": not self.columns, "overflow": "fold"}
        super().add_column(header, **usual | options)


def _split(_: object, tokens: Sequence[Any]) -> tuple[str, ...]:
    parts = tuple(part.strip() for token in tokens for part in token.value.split(","))
    if not all(parts):  # such as an empty variable of the shell: never everything instead
        raise SpecError(f"a name is missing in {', '.join(repr(token.value) for token in tokens)}")
    return parts


Names = Annotated[tuple[str, ...], Parameter(converter=_split, n_tokens=1, consume_multiple=False)]
"""Several names: the option repeats and takes commas."""


_order = itertools.count(2)


def flat(heading: str) -> Parameter:
    """Annotation of an option class whose fields are flags of the command, under a heading of the help."""
    return Parameter(name="*", group=Group(heading, sort_key=next(_order)))


def told_in(place: str, *names: str) -> Callable[[F], F]:
    """Decorator of a command: the help of these options is what the docstring of a function of the package says of them.

    ``place`` is a file and a function, ``"probes/decoder.py:decode"``; it is read, not imported, which would take seconds.
    """
    file, _, function = place.partition(":")
    text = Path(__file__).parents[1].joinpath(file).read_text("utf-8")
    found = re.search(rf'^def {function}\(.*?"""(.*?)"""', text, re.MULTILINE | re.DOTALL)
    assert found is not None, place
    told = re.sub(r":\w+:`~?([^`]*)`", r"`\1`", found[1])  # roles are of the pages

    def decorator(command: F) -> F:
        head, line, tail = str(command.__doc__).partition("    ----------\n")
        entries = [re.search(rf"^    {name} : .*\n(?:        .*\n)+", told, re.MULTILINE) for name in names]
        assert line and all(entries), (place, names)
        command.__doc__ = head + line + "".join(entry[0] for entry in entries if entry) + tail
        return command

    return decorator


app = App(
    name="bltvs",
    help="Activation extraction and brain comparison for BLT_VS, a recurrent model of the human ventral stream.\n\n"
    "Start with `bltvs demo`.",
    version=lambda: f"bltvs_neuro {version('bltvs_neuro')}",
    default_parameter=Parameter(negative=()),
    help_format="markdown",
)
app.group_parameters = Group("Options", sort_key=1)
ALWAYS = Group("Always", sort_key=99)


@app.meta.default
def launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    debug: Annotated[bool, Parameter(group=ALWAYS)] = False,
    verbose: Annotated[int, Parameter(alias="-v", count=True, group=ALWAYS)] = 0,
) -> Any:
    """Run a command.

    Parameters
    ----------
    debug : bool
        Show tracebacks.
    verbose : int
        Say more; -vv says everything.
    """
    Settings.debug = debug
    set_up_logging(verbose)
    with signals.at_work(), spelled_as(flags_of(tokens)):
        try:
            command, bound, _ = app.parse_args(tokens, exit_on_error=False, print_error=False)
            return command(*bound.args, **bound.kwargs)
        except CycloptsError:
            raise
        except (KeyboardInterrupt, Exception) as error:
            if Settings.debug:
                raise
            raise Ended(*_ending(error)) from error


class Settings:
    """What the options of every command set."""

    debug = False


class Ended(Exception):
    """A command ended before its time: what to say, and its exit code."""

    def __init__(self, head: str, text: str, code: int) -> None:
        self.head, self.text, self.code = head, text, code


def run(tokens: Sequence[str]) -> int:
    """Run the command line and give its exit code: 0, 1 (an error), 2 (wrong usage), 130 or 143 (a signal)."""
    Settings.debug = False
    try:
        code = app.meta(tokens, exit_on_error=False, print_error=False, result_action="return_value")
        return code if isinstance(code, int) else 0
    except CycloptsError as error:
        say("[bold red]usage:[/]", f"{' '.join(str(error).split())} Help: {_asked(tokens)} --help")
        return 2
    except Ended as end:
        if end.head:
            say(end.head, end.text)
        return end.code


def _ending(error: BaseException) -> tuple[str, str, int]:
    """How to say what ended a command; raises what is nobody's mistake but ours."""
    if isinstance(error, BrokenPipeError):  # the reader of our output has gone, as in `bltvs info x | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return "", "", 0
    # where a signal has come, other errors are what became of it in code that wraps all that it catches
    if isinstance(error, KeyboardInterrupt) or signals.arrived():
        notes = getattr(error, "__notes__", ())
        return f"[bold]interrupted{';' if notes else ''}[/]", "; ".join(notes), signals.exit_code()
    if isinstance(error, OSError) and error.errno is not None:
        error = BltvsError(f"{error.filename}: {reason(error)}" if error.filename else reason(error))
    if not isinstance(error, BltvsError):
        raise error
    return "[bold red]error:[/]", str(error), 1


def flags_of(tokens: Sequence[str]) -> dict[str, str]:
    """The options of the command that is asked for, by the name of the argument in Python."""
    _, apps, _ = app.parse_commands(list(tokens))
    flags: dict[str, str] = {}
    if apps[-1].default_command is None:  # help, or no command at all
        return flags
    for argument in apps[-1].assemble_argument_collection():
        name = argument.keys[-1] if argument.keys else argument.field_info.name
        own = [option for option in argument.names if option.startswith("-") and option not in argument.negatives]
        long = next((option for option in own if option.startswith("--")), own[0] if own else None)
        if long is not None:
            flags[str(name)] = long
        for no in argument.negatives:
            flags[f"{name}=False"] = no
    if "overwrite" in flags:
        flags["resume=False"] = flags["overwrite"]
    if "option" in flags:  # a reader's own options
        flags["*"] = "--option {name}="
    return flags


def say(head: str, text: str) -> None:
    """One line on standard error; ``text`` is shown as it is, ``head`` may have colours."""
    err.print(f"{head} {escape(text)}".strip(), highlight=False, soft_wrap=True)


@contextmanager
def goes_on(how: str = "what was finished is kept: the same command goes on from there") -> Iterator[None]:
    """Say, when this is interrupted, how to go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        error.add_note(how)
        raise


@contextmanager
def shown(what: str) -> Iterator[None]:
    """Show how far the work within is, and the time left, on standard error."""
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"),
        TextColumn("{task.fields[label]}"), TimeElapsedColumn(), TextColumn("{task.fields[left]}"),
    )  # fmt: skip
    with Bar(*columns, console=err, transient=not err.is_terminal) as bar:
        task = bar.add_task(what, total=None, count="", label="", left="")

        def show(now: Progress) -> None:
            left = ""
            if math.isfinite(now.seconds_left):
                minutes, seconds = divmod(round(now.seconds_left), 60)
                left = f"{minutes}:{seconds:02d} left"
            count = f"{now.done}/{now.total}" if now.total else ""
            bar.update(task, completed=now.done, total=now.total, count=count, label=now.label, left=left)

        with show_progress(show):
            yield


def set_up_logging(verbose: int) -> None:
    """Show the package's log on standard error: warnings, and with ``-v`` what it does."""
    handler = RichHandler(console=err, show_time=False, show_path=False, rich_tracebacks=False)
    logger = logging.getLogger("bltvs_neuro")
    logger.handlers[:] = [handler]
    logger.setLevel([logging.WARNING, logging.INFO, logging.DEBUG][min(verbose, 2)])
    logger.propagate = False
    warnings.showwarning = _show_warning


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """The package's warnings as one sentence; others as Python words them."""
    if category.__module__.startswith(__name__.partition(".")[0]):
        say("[yellow]warning:[/]", str(message))
    else:
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno))


def _asked(tokens: Sequence[str]) -> str:
    """The command that was meant, for the hint."""
    names, _, _ = app.parse_commands(list(tokens))
    return " ".join(("bltvs", *names))


def read_pairs(pairs: Sequence[str]) -> dict[str, str]:
    """Options written ``NAME=VALUE``."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        name = name.strip().replace("-", "_")
        if not name or not equals:
            raise SpecError(f"an option is written name=value; got {pair!r}")
        if name in found:
            raise SpecError(f"--option {name}=... is given twice; several values are written A,B")
        found[name] = value
    return found
