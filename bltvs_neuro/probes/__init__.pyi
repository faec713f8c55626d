from .decoder import CLASSIFIERS, decode
from .driven import Driven, plot_driven
from .driver import drive
from .figures import plot_decoding, plot_generalisation
from .result import Decoding, load_decoding

__all__ = [
    "CLASSIFIERS",
    "Decoding",
    "Driven",
    "decode",
    "drive",
    "load_decoding",
    "plot_decoding",
    "plot_driven",
    "plot_generalisation",
]
