"""Call another function than a module's forward *through* what wraps the module.

DistributedDataParallel starts its bookkeeping in its own forward, and FSDP gathers a module's weights there; a loss
that reads the trunk and the head itself must run inside. Lightning and TRL do the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

Result = TypeVar("Result")


def call_inside(
    wrapper: nn.Module, inner: nn.Module, function: Callable[..., Result], *given: Any, **named: Any
) -> Result:
    """``function(*given, **named)`` as if it were the forward of ``inner``, called by way of ``wrapper``.

    Args:
        wrapper: what holds ``inner``, or ``inner`` itself.
        inner: the wrapped module; its own forward may be called by the function.
        function: anything that reads the module's weights.
        given, named: its arguments.
    """
    original = inner.forward

    def instead(*arguments: Any, **keywords: Any) -> Result:
        inner.forward = original
        return function(*arguments, **keywords)

    inner.forward = instead
    try:
        result: Result = wrapper(*given, **named)
    finally:
        inner.forward = original
    return result
