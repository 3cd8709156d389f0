"""Which versions of TRL the adapter was read and tested against; any other is refused before anything is imported.

``trl_trainer.py`` overrides private methods, which TRL may change in any minor release. Left out: guesses about newer
versions. ``tests/train/test_trl_internals.py`` says what moved; when it passes with another version, the pin can move.
"""

from __future__ import annotations

from importlib import metadata

from packaging.specifiers import SpecifierSet

from paced.errors import MissingExtraError

PIN = "trl>=1.16,<1.17"
"""As in pyproject.toml."""


def trl_fault(place: str) -> str | None:
    """What is wrong with the TRL that is installed, in one sentence; None when it can be used.

    Args:
        place: what asks for it, the beginning of the sentence.

    Example:
        >>> trl_fault("training.backend: trl")
    """
    try:
        version = metadata.version("trl")
    except metadata.PackageNotFoundError:
        return str(MissingExtraError(place, "trl", "trl"))
    if SpecifierSet(PIN.removeprefix("trl")).contains(version):
        return None
    return (
        f"{place}: the version of trl must be {PIN.removeprefix('trl')}, whose private methods are overridden, got "
        f'{version}. Install it with: pip install "{PIN}"'
    )


def require_trl(place: str) -> None:
    """Refuse a TRL that is absent or of another version.

    Raises:
        ImportError: with the command that installs the right one.
    """
    fault = trl_fault(place)
    if fault is not None:
        raise ImportError(fault)
