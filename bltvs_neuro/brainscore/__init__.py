"""The edge to Brain-Score: models as its subjects, scores on its benchmarks and on one's own data, submissions.

Importing this package registers ``blt_vs_imagenet`` and ``blt_vs_ecoset`` in ``brainscore_vision.model_registry``, if
brainscore-vision is installed. Nothing else in bltvs_neuro imports it.
"""

import lazy_loader

from .environment import installed

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

if installed():
    from .subject.registry import register_all

    register_all()
