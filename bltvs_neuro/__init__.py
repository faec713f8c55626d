"""bltvs_neuro: activation extraction and brain comparison for BLT_VS, a recurrent model of the human ventral stream.

The public names are imported when they are first used, so that ``import bltvs_neuro`` stays quick and work on stored
activations never needs torch.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
