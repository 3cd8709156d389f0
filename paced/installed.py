"""Whether a package can be imported; a folder of its name where a command was typed is not the package."""

from __future__ import annotations

import importlib.util


def is_installed(package: str) -> bool:
    """Whether ``import package`` would find code, which it is not asked to load.

    Args:
        package: the name of a top-level module, as ``vllm``.

    Edges: a folder ``vllm`` without ``__init__.py`` in the working folder, the folder of a run for example, can be
    imported as an empty namespace and does not count.

    Example:
        >>> is_installed("numpy"), is_installed("no_such_package")
        (True, False)
    """
    found = importlib.util.find_spec(package)
    return found is not None and found.origin is not None
