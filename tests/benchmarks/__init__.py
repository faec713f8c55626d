"""The repository's benchmarks: ratios measured in one run, printed as Markdown tables for docs/guide.

Run ``uv run --extra dev python -m tests.benchmarks`` for all of them, ``... -m tests.benchmarks NAME...`` for some,
``--list`` for their names, ``--full`` for the sizes of the figures in docs/guide (minutes); files go to ``TMPDIR``. Nothing
here is collected by pytest except ``test_benchmarks.py``, which runs the frame itself on toy cases.

To add a benchmark
------------------
1. Write ``tests/benchmarks/NAME.py`` with one function::

       from .tables import Table, ratio_rows
       from .timing import interleaved

       def measure(full: bool) -> Table:
           case = make_case(1000 if full else 200)
           costs = interleaved({"ours": lambda: ours(case), "library": lambda: library(case)}, repeats=5)
           return Table("What is compared, with its sizes", ratio_rows(costs, baseline="library"), "what the note says")

2. Add its line to ``BENCHMARKS`` below.

``interleaved`` runs the cases by turns (after one unmeasured warm-up each), so that whatever else the machine does falls
on all of them, and notes CPU time (of all threads, and of child processes that have ended) as well as wall time. A
ratio is the median over rounds of the ratio within a round. ``memory.peak_of(function, **arguments)`` runs an importable
function in a fresh process and returns its value and its peak memory. Cells may be text or numbers; rows may have columns
of their own. Check in ``measure`` that both sides give the same answer: a fast wrong one is no benchmark.
"""

from __future__ import annotations

BENCHMARKS: dict[str, str] = {
    "forward": "the model's forward pass against a plain loop in the original's order",
    "precisions": "fast, half precision and channels last on a CPU: speed, and how far off",
    "compiled": "torch.compile of the areas' element-wise work",
    "rsa": "RDMs, crossnobis and the dual bootstrap against rsatoolbox, and how far the numbers differ",
    "extraction": "time of extraction against the bare forward pass and against the loop that is usual in this field",
    "memory_of_extraction": "peak memory of extraction and of the usual loop, against the number of stimuli",
    "encoding": "an alpha per target and a sweep of feature spaces, against scikit-learn and himalaya",
}
"""Name of a module of this package -> what it measures, in one line."""
