"""Outputs are whole or absent, nothing is replaced unasked, and what cannot be written is told in one sentence."""

from __future__ import annotations

import ast
import errno
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import bltvs_neuro
from bltvs_neuro import durable
from bltvs_neuro.durable import check_outputs, make_folder, scratch_folder, whole_file, write_durably
from bltvs_neuro.errors import OutputError

ODD_NAMES = [
    "a b.csv", "a%sb%.csv", "é→.csv", "a\nb.csv", "-a.csv", "a#b?.csv", "..a.csv", ".hidden", "lock", "[a]*.csv", "a" * 255,
]  # fmt: skip


@pytest.fixture(autouse=True)
def every_folder_is_new(monkeypatch):
    monkeypatch.setattr(durable, "_swept", set())


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_file_is_written_under_any_name_the_system_allows(tmp_path, name):
    target = tmp_path / "made" / "folders" / name
    check_outputs(target)
    assert not (tmp_path / "made").exists(), "trying leaves nothing behind"
    write_durably(target, b"1")
    with pytest.raises(OutputError, match="exists: choose another name, or replace it with overwrite=True"):
        write_durably(target, b"2")
    assert target.read_bytes() == b"1"
    write_durably(target, b"3", overwrite=True)
    assert target.read_bytes() == b"3"
    assert os.listdir(target.parent) == [name]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask
    assert target.stat().st_nlink == 1


def test_an_error_in_the_block_leaves_what_was_there(tmp_path):
    target = tmp_path / "a.csv"
    write_durably(target, b"1")
    with pytest.raises(ZeroDivisionError), whole_file(target, overwrite=True) as part:
        part.write_bytes(bytes([1 // 0]))
    assert target.read_bytes() == b"1"
    assert os.listdir(tmp_path) == ["a.csv"]


def _meanwhile(part: Path, target: Path) -> None:
    part.write_bytes(b"mine")
    target.write_bytes(b"theirs")


def test_what_another_process_wrote_meanwhile_stays(tmp_path):
    target = tmp_path / "a.csv"
    with pytest.raises(OutputError, match="exists"), whole_file(target) as part:
        _meanwhile(part, target)
    assert target.read_bytes() == b"theirs"


def test_a_file_system_without_hard_links(tmp_path, monkeypatch):
    def link(*_, **__):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    write_durably(tmp_path / "a", b"1")
    with pytest.raises(OutputError, match="exists"), whole_file(tmp_path / "b") as part:
        _meanwhile(part, tmp_path / "b")
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (b"1", b"theirs")


@pytest.mark.parametrize("write", [check_outputs, lambda path, **how: write_durably(path, b"", **how)])
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda tmp: (tmp / "f").touch() or tmp / "f" / "x", "f.* cannot be written: .*a folder should be"),
        (lambda tmp: (tmp / "f").touch() or tmp / "f" / "x" / "y", "f.* cannot be written: .*a folder should be"),
        (lambda tmp: (tmp / "d").mkdir() or tmp / "d", "d is a folder; name a file"),
        (lambda tmp: tmp / ("a" * 256), "File name too long; choose a shorter name"),
        (lambda tmp: tmp / ("a" * 256) / "b", "File name too long; choose a shorter name"),
        (lambda tmp: (tmp / "l").symlink_to(tmp / "no") or tmp / "l", "l is a link to .*no, which does not exist"),
        (lambda tmp: (tmp / "l").symlink_to(tmp / "l") or tmp / "l", "links there lead to each other"),
        (lambda tmp: (tmp / "l").symlink_to(tmp / "l") or tmp / "l" / "x", "cannot be written"),
        (lambda tmp: os.mkfifo(tmp / "p") or tmp / "p", "p is not a file"),
        (lambda tmp: Path("/dev/null"), "/dev/null is not a file"),
        (lambda tmp: Path("/dev/stdout"), "/dev/stdout is not a file"),
        (lambda tmp: Path("/proc/self/fd/1"), "is not a file"),
        (lambda tmp: Path("/proc/new"), "is not a file|cannot be written"),
        (lambda tmp: Path("-"), "'-' is not the name of a file"),
        (lambda tmp: tmp / "..", "is not the name of a file"),
        (lambda tmp: Path("."), "is not the name of a file"),
    ],
)
def test_what_can_be_no_output_is_told_in_one_sentence(tmp_path, make, said, write, overwrite):
    path = make(tmp_path)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(OutputError, match=said) as told:
        write(path, overwrite=overwrite)
    assert "\n" not in str(told.value)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("number", [*sorted(durable._REMEDIES), errno.EROFS, errno.EACCES, errno.EPERM])
@pytest.mark.parametrize("where", ["mkdir", "open", "write", "fsync", "link"])
def test_every_error_of_the_system_is_one_sentence(tmp_path, monkeypatch, number, where):
    def fail(*_, **__):
        raise OSError(number, "from the system")

    name = {"mkdir": "mkdir", "open": "open", "fsync": "fsync", "link": "link"}.get(where)
    if where == "link" and number in (*durable._NO_LINKS, errno.EEXIST):
        pytest.skip("another way is taken")
    if name:
        monkeypatch.setattr(os, name, fail)
    with pytest.raises(OutputError, match="cannot be written: ") as told, whole_file(tmp_path / "a") as part:
        part.touch() if where != "write" else fail()
    assert os.strerror(number) in str(told.value)
    monkeypatch.undo()
    assert not (tmp_path / "a").exists()


def test_a_full_disk_and_a_read_only_one(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if sys.platform != "linux" or os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        with pytest.raises(OutputError, match="No space left on device; make room there"):
            write_durably(disk / "a", bytes(1 << 20))
        assert os.listdir(disk) == []
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(OutputError, match="Read-only file system"):
            check_outputs(disk / "new" / "a")
        with pytest.raises(OutputError, match="Read-only file system"):
            write_durably(disk / "new" / "a", b"")
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_a_link_to_a_file_is_written_through_when_asked(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "file").write_bytes(b"1")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "far" / "file")
    with pytest.raises(OutputError, match="link exists"):
        write_durably(link, b"2")
    write_durably(link, b"2", overwrite=True)
    assert link.is_symlink()
    assert (tmp_path / "far" / "file").read_bytes() == b"2"


def test_links_with_the_names_of_earlier_versions_are_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / f".out.csv.{os.getpid()}.part").symlink_to(victim)
    write_durably(tmp_path / "out.csv", b"1")
    assert victim.read_bytes() == b"precious"
    assert stat.S_ISREG((tmp_path / "out.csv").lstat().st_mode)


def test_all_that_exists_is_named_before_the_work(tmp_path):
    for name in "abc":
        (tmp_path / name).touch()
    with pytest.raises(OutputError, match=r"a exists \(and 2 more of the files to be written\)"):
        check_outputs(*(tmp_path / name for name in "abcd"))
    check_outputs(*(tmp_path / name for name in "abcd"), overwrite=True)


def test_new_folders_are_synced_into_those_above(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(durable, "sync_folder", synced.append)
    make_folder(tmp_path / "a" / "b")
    assert synced == [tmp_path, tmp_path / "a"]


HOLDS = """
import sys, time
from pathlib import Path
from bltvs_neuro.durable import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "big").touch()
    print(folder, flush=True)
    time.sleep(60)
"""


def test_what_a_killed_process_leaves_is_swept_and_a_living_one_is_left_alone(tmp_path):
    holder = [sys.executable, "-c", HOLDS, str(tmp_path)]
    living, dead = (subprocess.Popen(holder, stdout=subprocess.PIPE, text=True) for _ in range(2))
    try:
        kept, left = (Path(process.stdout.readline().strip()) for process in (living, dead))
        dead.kill()
        dead.wait()
        (tmp_path / ".bltvs-0123").mkdir()  # killed before it had its lock
        (tmp_path / ".bltvs-notours").mkdir()
        (tmp_path / ".bltvs-notours" / "file").touch()
        assert left.exists()
        write_durably(tmp_path / "a", b"1")
        assert sorted(os.listdir(tmp_path)) == sorted([".bltvs-notours", "a", kept.name])
        assert (kept / "big").exists()
    finally:
        living.kill()
        living.wait()
    durable._swept.clear()
    with scratch_folder(tmp_path) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(os.listdir(tmp_path)) == [".bltvs-notours", "a"]


KILLED = """
import os, signal, sys
from bltvs_neuro.durable import whole_file
with whole_file(sys.argv[1], overwrite=True) as part:
    part.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_while_writing_the_earlier_file_stays_and_nothing_else(tmp_path):
    target = tmp_path / "a"
    write_durably(target, b"1")
    assert subprocess.run([sys.executable, "-c", KILLED, str(target)]).returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 2
    durable._swept.clear()
    write_durably(tmp_path / "b", b"2")
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]
    assert target.read_bytes() == b"1"


def test_many_writers_in_one_folder_do_not_sweep_each_other(tmp_path):
    code = (
        "import sys\nfrom bltvs_neuro import durable\n"
        "for i in range(60):\n    durable._swept.clear()\n    durable.write_durably(f'{sys.argv[1]}-{i}', b'x')"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / str(k))]) for k in range(4)]
    assert [writer.wait(timeout=60) for writer in writers] == [0] * 4
    assert len(os.listdir(tmp_path)) == 240


# who writes

WRITERS = {
    "to_csv", "to_netcdf", "to_parquet", "to_excel", "savefig", "write_text", "write_bytes", "save", "savez", "savetxt",
    "savez_compressed", "save_file", "imsave", "dump", "tofile", "open_memmap", "mkdir", "makedirs", "rmtree", "copytree",
    "copy2", "copyfile", "move", "rename", "replace", "link", "symlink", "mkdtemp", "mkstemp", "TemporaryDirectory",
    "NamedTemporaryFile", "open", "File", "ZipFile", "unlink", "remove", "rmdir", "touch", "truncate",
}  # fmt: skip
ALLOWED = {
    "durable.py": "the one way to write",
    "store/": "its HDF5 files survive a full disk in the middle of HDF5",
    "cli/selftest.py": "a scratch folder of the system's for temporary files",
    "brainscore/submission/check.py": "unpacks a submission into a folder of the system's for temporary files",
    "brainscore/submission/plugin_text.py": "text of a plugin",
    "brainscore/submission/check_text.py": "text of a test",
    "datasets.py": "a download, into the scratch folder that pooch is given",
    "extraction/pca.py": "what is fitted, in a scratch folder",
    "encoding/sweep/finished_spaces.py": "removes parts",
    "cli/encode.py": "removes parts",
    "model/released/exported.py": "removes the description of a model that is being replaced",
}
INSIDE = re.compile(r"\b(part|table_file|scratch|stream|buffer|file|archive|array)\b")
"""Names that a whole_file, a scratch folder or memory has where it is written to."""


MODULES = {"np", "torch", "nibabel", "image", "json", "pickle", "os", "shutil"}
"""Methods of these names that are no functions of a module belong to texts, arrays and tables."""


def direct_writers(source: str) -> list[tuple[int, str]]:
    """Calls that write a file under a name of their own choice."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        owner, _, name = ast.unparse(node.func).rpartition(".")
        text = ast.unparse(node)
        if name not in WRITERS or INSIDE.search(text) or "overwrite=" in text:
            continue
        if name in ("open", "File", "ZipFile") and not _writes(node):
            continue
        if name in ("save", "dump", "replace", "rename", "remove", "move", "link") and owner not in MODULES:
            continue
        if name == "to_csv" and not node.args:  # gives text
            continue
        found.append((node.lineno, text))
    return found


def _writes(node: ast.Call) -> bool:
    modes = [a.value for a in [*node.args, *(k.value for k in node.keywords)] if isinstance(a, ast.Constant)]
    return any(
        isinstance(mode, str) and re.fullmatch(r"[rwxab+t]{1,3}", mode) and set(mode) & set("wxa+") for mode in modes
    )


def test_every_output_goes_through_durable():
    package = Path(bltvs_neuro.__file__).parent
    found = {}
    for file in sorted(package.rglob("*.py")):
        name = file.relative_to(package).as_posix()
        if not name.startswith(tuple(ALLOWED)):
            found |= {f"{name}:{line}": call for line, call in direct_writers(file.read_text())}
    assert found == {}


@pytest.mark.parametrize(
    "call",
    ["frame.to_csv(path)", "open(path, 'w')", "path.open(mode='ab')", "figure.savefig(target)", "path.write_text('')",
     "np.save(path, x)", "torch.save(x, path)", "h5py.File(path, 'w')", "json.dump(x, out)", "folder.mkdir()",
     "tempfile.TemporaryDirectory()", "os.replace(a, b)", "shutil.rmtree(folder)", "nibabel.save(image, path)"],
)  # fmt: skip
def test_the_scan_finds(call):
    assert direct_writers(call)


@pytest.mark.parametrize("call", ["text.replace('a', 'b')", "open(path)", "h5py.File(path, 'r')", "frame.to_csv(part)"])
def test_the_scan_lets_pass(call):
    assert not direct_writers(call)
