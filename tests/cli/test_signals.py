"""Ctrl-C and SIGTERM end a command at any moment, with one word and the exit code of the signal."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from .test_cli import MODEL

COMMAND = [sys.executable, "-m", "bltvs_neuro", "extract", "{folder}", "-o", "{out}", *MODEL]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    from PIL import Image

    folder = tmp_path_factory.mktemp("pictures")
    for i in range(600):
        Image.new("RGB", (16, 16), (i % 256, i // 256, 0)).save(folder / f"{i}.bmp")
    return folder


def stopped_after(seconds, number, pictures, out):
    command = [part.format(folder=pictures, out=out) for part in COMMAND]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    time.sleep(seconds)
    os.killpg(process.pid, number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number, (seconds, process.returncode, said)
    assert "interrupted" in said, (seconds, said)
    assert "Traceback" not in said, (seconds, said)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_libraries_are_loaded(number, pictures, tmp_path):
    stopped_after(0.7, number, pictures, tmp_path / "acts.h5")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_any_moment(number, pictures, tmp_path):
    rng = random.Random(0)
    for k in range(20):
        stopped_after(rng.uniform(0.25, 3.0), number, pictures, tmp_path / f"acts{k}.h5")


SCRIPT = """
import os, signal, sys
from bltvs_neuro.cli import signals
from bltvs_neuro.cli.base import app, run
signals.watch()

class Deaf:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

@app.command
def command():
    {body}
    print("went on")

raise SystemExit(run(["command"]))
"""


@pytest.mark.parametrize(
    "body",
    [
        "os.kill(os.getpid(), signal.SIGINT)",
        "Deaf(); import time; time.sleep(20)",  # Python ignores exceptions in destructors
        """try:
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException as error:
        raise RuntimeError('wrapped') from error""",
        "import swallows",
        """import multiprocessing
    process = multiprocessing.get_context('fork').Process(target=os.kill, args=(0, 0))
    os.kill(os.getpid(), signal.SIGINT)""",
    ],
)
def test_a_signal_that_code_swallows_ends_the_command_all_the_same(body, tmp_path):
    (tmp_path / "swallows.py").write_text(
        textwrap.dedent("""
        import os, signal
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except BaseException:
            pass
        """)
    )
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(body=body)], capture_output=True, text=True, env=env)
    assert (done.returncode, "interrupted" in done.stderr, done.stdout) == (130, True, ""), done.stderr
    assert "Traceback" not in done.stderr


def test_an_ignored_signal_stays_ignored_and_workers_die_of_theirs():
    body = "signal.signal(signal.SIGINT, signal.SIG_IGN); signals.watch(); os.kill(os.getpid(), signal.SIGINT)"
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(body=body)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "went on\n")
    body = "pid = os.fork(); pid or os.kill(os.getpid(), signal.SIGTERM); print(os.waitpid(pid, 0)[1])"
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(body=body)], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{int(signal.SIGTERM)}\nwent on\n", "")
