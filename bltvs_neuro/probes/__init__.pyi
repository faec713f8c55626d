from .decoder import CLASSIFIERS, decode
from .driven import Driven, plot_driven
from .driver import drive
from .figures import plot_decoding, plot_generalisation
from .result import Decoding

__all__ = [
    "CLASSIFIERS",
    "Decoding",
    "Driven",
    "decode",
    "drive",
    "plot_decoding",
    "plot_driven",
    "plot_generalisation",
]
