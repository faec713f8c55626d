from .environment import BrainScoreError
from .scores.local import local_benchmark
from .scores.scoring import score
from .subject.commitment import brain_model
from .subject.registry import register
from .subject.timeline import Timeline
from .submission.check import check
from .submission.package import package

__all__ = [
    "BrainScoreError",
    "Timeline",
    "brain_model",
    "check",
    "local_benchmark",
    "package",
    "register",
    "score",
]
