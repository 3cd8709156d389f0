"""A data set of the Hugging Face hub as one parquet file, at a commit: here only do problems come from a network.

A run reads files, so that it is the same run tomorrow. ``datasets`` loads tables only (it has run no code of a data set
since version 4), and the commit is named, since data sets are corrected under the same name.
"""

from __future__ import annotations

import re
from pathlib import Path

from paced.errors import ConfigError, MissingExtraError
from paced.run.storage import file_hash

_NAME = re.compile(r"(?:hf://datasets/)?(?P<name>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<commit>\w+))?")


def fetch(name: str, output: str | Path, *, split: str, config: str = "") -> tuple[int, str]:
    """Write one split of a data set as parquet, in its own column types.

    Args:
        name: ``owner/name@commit``, the commit with all its 40 digits.
        output: a file that ends in .parquet.
        split: such as ``train``.
        config: the configuration, where the data set has several, such as ``main``.

    Returns: the number of rows, and the SHA-256 of the file.

    Raises:
        ConfigError: a name without a commit, no such data set, or no network.
        MissingExtraError: ``datasets`` is not installed.

    Example:
        >>> fetch("openai/gsm8k", "gsm8k.parquet", split="test")
        Traceback (most recent call last):
        paced.errors.ConfigError: fetch: name must be owner/name@commit with the 40 digits of a commit, got \
'openai/gsm8k'. The data set's page shows its commits under Files.
    """
    match = _NAME.fullmatch(name)
    if match is None or not re.fullmatch(r"[0-9a-f]{40}", match["commit"] or ""):
        raise ConfigError(
            f"fetch: name must be owner/name@commit with the 40 digits of a commit, got {name!r}. The data set's page "
            "shows its commits under Files."
        )
    output = Path(output)
    if output.suffix != ".parquet":
        raise ConfigError(f"fetch: output must end in .parquet, got {output}.")
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError("paced data fetch", "datasets", "hub") from error
    try:
        table = datasets.load_dataset(match["name"], config or None, split=split, revision=match["commit"])
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConfigError(
            f"{name}: cannot be fetched: {reason[:300]}. Check the name, the commit, the split, the configuration and "
            "the network; or download the files and read them."
        ) from error
    output.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(str(output))
    return len(table), file_hash(output)
