"""Reports: stores and results as one self-contained, interactive page."""

from .page import write_report

__all__ = ["write_report"]
