"""Design tables of the embedded lab (the configuration record lives in paced/config.py)."""

from paced.config import LabConfig

__all__ = ["LabConfig"]
