"""Pickles of others: plain data come back, and what a hostile one asks for is refused without a crash."""

from __future__ import annotations

import pickle
import pickletools
import random
import re
import struct
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest

from bltvs_neuro.errors import DataError
from bltvs_neuro.foreign.pickles import load_pickle

PLAIN = {
    "f": np.arange(6.0).reshape(2, 3), "fortran": np.asfortranarray(np.arange(6, dtype="i2").reshape(2, 3)),
    "big": np.arange(3, dtype=">f4"), "text": np.array(["ab", "ü"]), "bytes": np.array([b"ab"]), "bool": np.array([True]),
    "objects": np.array([["a", None], [np.arange(2), {"x": 1}]], dtype=object), "empty": np.zeros((0, 3)),
    "scalar": np.float32(1.5), "number": 2**70, "none": None, "tuple": (1, 2.5, "x", b"y", (True, [])), "set": {1, "a"},
    "complex": 1 + 2j, "ordered": OrderedDict(a=1), "same": [[1]] * 3, "zero": np.array({"deep": np.ones(2)}, dtype=object),
}  # fmt: skip


def same(a, b):
    if isinstance(b, np.ndarray):
        assert a.dtype == b.dtype and a.shape == b.shape
        if b.dtype.kind != "O":
            np.testing.assert_array_equal(a, b)
            return
        a, b = a.ravel().tolist(), b.ravel().tolist()
    if isinstance(b, list | tuple):
        assert type(a) is type(b) and len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            same(one, other)
    elif isinstance(b, dict):
        assert list(a) == list(b)
        same(list(a.values()), list(b.values()))
    else:
        assert a == b and (type(a) is type(b))


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_of_every_protocol(tmp_path, protocol):
    (tmp_path / "x").write_bytes(pickle.dumps(PLAIN, protocol))
    same(load_pickle(tmp_path / "x"), PLAIN)


def test_arrays_can_be_written_to_and_one_object_stays_one(tmp_path):
    array = np.zeros(3)
    (tmp_path / "x").write_bytes(pickle.dumps([array, array]))
    first, second = load_pickle(tmp_path / "x")
    first[0] = 1
    assert second[0] == 1


def test_python_2_and_the_old_name_of_numpy(tmp_path):
    data = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02\x85"
        b"cnumpy\ndtype\nU\x02i2K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x04\x01\x00\xff\xfftb."
    )
    (tmp_path / "x").write_bytes(data)
    np.testing.assert_array_equal(load_pickle(tmp_path / "x"), [1, -1])


class Reduce:
    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


DTYPE = b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
HOSTILE = {
    "array over forged pointers": (pickle.dumps(Reduce(np.ndarray, ((4,), "O", b"A" * 32))), "calls something"),
    "system": (pickle.dumps(Reduce(eval, ("1/0",))), "would create builtins.eval"),
    "system 0": (b"cos\nsystem\n(S'true'\ntR.", "would create os.system"),
    "instance": (b"(ios\nsystem\n.", "would create an object .INST"),
    "new object": (b"\x80\x02cnumpy\nndarray\n(K\x04t\x81.", "would create an object .NEWOBJ"),
    "extension": (b"\x80\x02\x82\x01.", "would create an object .EXT1"),
    "persistent": (b"\x80\x02Pabc\n.", "would create an object .PERSID"),
    "dotted": (b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.fill\x93.", "would create numpy.ndarray.fill"),
    "objects without objects": (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I4\ntcnumpy\ndtype\n(S'O8'\nI0\nI1\ntR"
        b"I0\nS'" + b"A" * 32 + b"'\ntb.", "array of objects without the objects"),
    "too few bytes": (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I4\nt" + DTYPE + b"I0\nS'abc'\ntb.",
        "declares an array of 32 bytes, and gives 3"),
    "negative": (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I-4\nt" + DTYPE + b"I0\nS''\ntb.",
        "array of shape"),
    "object scalar": (b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'O8'\ntRS'AAAAAAAA'\ntR.", "without its type"),
    "fields": (b"cnumpy\ndtype\n(S'V8'\ntR.", "describes the type 'V8'"),
    "type with fields": (b"cnumpy\ndtype\n(S'f8'\ntR(I3\nS'<'\nN(S'a'\nt(dI8\nI1\nI0\ntb.", "array with fields"),
    "build a function": (b"cnumpy\ndtype\n(dS'x'\nI1\nsb.", "changes the inside"),
    "function as a value": (b"cnumpy\ndtype\n.", "holds a function"),
    "huge text": (b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"abc.", "damaged or truncated"),
    "huge bytes": (b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"abc.", "damaged or truncated"),
    "huge bytes 3": (b"\x80\x03B" + struct.pack("<I", 2**32 - 1) + b"abc.", "damaged or truncated"),
    "huge frame": (b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"abc.", "out of order"),
    "huge memo": (b"\x80\x02Nr\xff\xff\xff\xffj\xfe\xff\xff\xff.", "damaged or truncated"),
    "huge number": (b"L" + b"9" * 100_000 + b"L\n.", "damaged or truncated"),
    "deep lists": (b"]" * 200_000 + b"a" * 199_999 + b".", "nested more than"),
    "deep tuples as a key": (b"}" + b")" + b"\x85" * 100_000 + b"Ns.", "uses a tuple as a key"),
    "deep tuples in a set": (b"\x80\x04\x8f(" + b")" + b"\x85" * 100_000 + b"\x90.", "uses a tuple as a key"),
    "holds itself": (b"]q\x00h\x00a.", "or holds itself"),
    "billion laughs": (
        b"(" + b"N" * 10 + b"lq\x00" + b"".join(b"0(" + (b"h" + bytes([n])) * 10 + b"lq" + bytes([n + 1]) for n in range(12))
        + b".", "spell out more than"),
    "no stack": (b"aaaa.", "damaged or truncated|out of order"),
    "no mark": (b"e.", "damaged or truncated"),
    "append to a dict": (b"}Na.", "something that is no list"),
    "items of a list": (b"](NNu.", "something that is no dict"),
    "odd items": (b"}(Nu.", "key without its value"),
    "call a text": (b"S'x'\n)R.", "no function"),
    "call with text": (b"cnumpy\ndtype\nS'f8'\nR.", "no function"),
    "set of deep": (b"c__builtin__\nset\n(](](lalatR.", "key"),
    "no end": (b"\x80\x04N", "damaged or truncated"),
    "empty text array": (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(L99999999999L\ntcnumpy\ndtype\n(S'S0'\ntR"
        b"I0\nS''\ntb.", "empty texts"),
}  # fmt: skip

SCRIPT = """
import sys, pathlib
from bltvs_neuro.errors import DataError
from bltvs_neuro.foreign.pickles import load_pickle
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    try:
        load_pickle(path)
        print(path.name, "loaded", sep="\\t", flush=True)
    except DataError as error:
        print(path.name, str(error), sep="\\t", flush=True)
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """All at once, in a process that may not take more than its time."""
    folder = tmp_path_factory.mktemp("hostile")
    for number, (data, _) in enumerate(HOSTILE.values()):
        (folder / f"{number:03d}").write_bytes(data)
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(folder)], capture_output=True, text=True, timeout=60)
    return {int(name): answer for name, _, answer in (line.partition("\t") for line in done.stdout.splitlines())}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles(answers, name):
    number = list(HOSTILE).index(name)
    assert re.search(HOSTILE[name][1], answers[number]), answers[number]


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_changed_bytes(tmp_path, protocol):
    data = pickle.dumps(PLAIN, protocol)
    rng, path = random.Random(protocol), tmp_path / "x"
    raised = 0
    for _ in range(150):
        changed = bytearray(data)
        changed[rng.randrange(len(data))] ^= rng.randrange(1, 256)
        path.write_bytes(changed)
        try:
            load_pickle(path)
        except DataError:
            raised += 1
    assert raised > 20


def test_every_instruction_is_known_or_refused():
    from bltvs_neuro.foreign.pickles import _ACTIONS

    left = {op.name for op in pickletools.opcodes} - set(_ACTIONS) - {"STOP"}
    assert left == {
        "PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "OBJ", "INST", "NEWOBJ", "NEWOBJ_EX", "NEXT_BUFFER",
        "READONLY_BUFFER",
    }  # fmt: skip


def test_empty_file(tmp_path):
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(DataError, match="damaged or truncated"):
        load_pickle(tmp_path / "x")


def test_a_name_that_is_no_text_is_damage(tmp_path):
    """Damage may leave an array's type where the name of a module stood; its Python object is not for people."""
    path = tmp_path / "x.pkl"
    path.write_bytes(b"\x80\x04K\x03K\x04\x93.")  # the module 3 and the name 4
    with pytest.raises(DataError, match="is damaged or truncated"):
        load_pickle(path)
