"""Load students and teachers as transformers gives them, and refuse what would be unsafe or silently different.

Weights come from safetensors only: ``.bin`` and ``.pt`` files are pickles, which run code when they are read. Code that
a repository brings is never run.
The self-teacher is a frozen copy of the *initial* student, for the whole run and in every stage.
Left out: quantised loading, and folders of adapters, which need another model's weights.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from paced.errors import ConfigError, RunFolderError
from paced.models.smollm2 import PACKAGED_MODELS
from paced.run.config import ModelConfig, RunConfig
from paced.run.folder import RunFolder

GENERATION_CONFIG = "generation_config.json"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
)
"""Files of any tokenizer; those of its vocabulary are named by its class."""
UNREADABLE = (OSError, ValueError, TypeError, LookupError, AttributeError, ImportError)
"""What transformers raises over a folder that it cannot read."""
CHANGES_THE_MODEL = re.compile(r"\.(?:layers|h|blocks)\.\d+\.|lora_|adapter")
"""Names of tensors whose absence makes another model; heads of other tasks and buffers of old versions do not."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def student_model(run: RunFolder, config: RunConfig, *, stage_number: int) -> ModelConfig:
    """The student that enters a stage: the configured one, or the one that the stage before it trained.

    Raises:
        ConfigError: the stage before has not been trained.
    """
    if stage_number == 1:
        return config.student
    folder = run.stage(stage_number - 1).student
    if not (folder / "config.json").exists():
        raise ConfigError(
            f"{run.root}: stage {stage_number} needs the student of stage {stage_number - 1}. "
            f"Run: paced distill {run.root} --stage {stage_number - 1}"
        )
    return ModelConfig(path=str(folder), dtype=config.student.dtype, attention=config.student.attention)


def teacher_model(config: RunConfig) -> ModelConfig:
    """The teacher: the configured model, or the initial student when the recipe names none."""
    if config.teacher.path:
        return config.teacher
    student = config.student
    return ModelConfig(
        path=student.path, revision=student.revision, dtype=config.teacher.dtype, attention=student.attention
    )


def load_model(model: ModelConfig, *, dtype: str = "", device: torch.device | str = "cpu") -> Any:
    """Load a causal language model from safetensors, in eval mode.

    Args:
        model: folder or hub name, revision and attention kernel.
        dtype: type of the weights; empty for the configured one. The trained student is loaded as float32.
        device: where it goes.

    Raises:
        ConfigError: no such folder, weights that are not safetensors, that are damaged, or that are another model's.
    """
    from transformers import AutoModelForCausalLM

    source = locate(model)
    with reading(model, "load this model"):
        loaded, report = AutoModelForCausalLM.from_pretrained(
            source,
            revision=model.revision or None,
            dtype=DTYPES[dtype or model.dtype],
            attn_implementation=model.attention,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    absent = sorted(report["missing_keys"])
    if absent:  # transformers would fill them with random numbers and only warn
        raise ConfigError(f"{model.path}: the weights lack {len(absent)} tensors of the model, e.g. {absent[0]}.")
    dropped = sorted(name for name in report["unexpected_keys"] if CHANGES_THE_MODEL.search(name))
    if dropped:  # transformers would leave them out without a word
        raise ConfigError(
            f"{model.path}: {len(dropped)} tensors of the weights have no place in the model of config.json, e.g. "
            f"{dropped[0]}. Write config.json and weights by one save_pretrained; merge adapters first."
        )
    return loaded.to(device).eval()


@contextmanager
def reading(model: ModelConfig, what: str) -> Iterator[None]:
    """Let what transformers raises over a damaged folder name the folder: a list for a mapping is a TypeError there."""
    try:
        yield
    except SafetensorError as error:
        raise ConfigError(
            f"{model.path}: a file of weights is damaged or not safetensors ({_first_line(error)}). Fetch it again."
        ) from error
    except UNREADABLE as error:
        raise ConfigError(f"{model.path}: transformers cannot {what} ({_first_line(error)}).") from error
    except RuntimeError as error:  # shapes that differ; the message is a table
        raise ConfigError(
            f"{model.path}: the weights do not have the shapes that config.json says. The folder mixes two models."
        ) from error
    except Exception as error:
        if type(error) is not Exception:
            raise
        # the tokenizers library raises nothing narrower for a file that it cannot read
        raise ConfigError(f"{model.path}: transformers cannot {what} ({_first_line(error)}).") from error


@contextmanager
def writing_weights(file: Path) -> Iterator[None]:
    """Let what safetensors says of a write that fails name the file.

    Raises:
        RunFolderError: the disk is full, or a file may not be this large.
    """
    try:
        yield
    except SafetensorError as error:
        raise RunFolderError(
            f"{file}: weights cannot be written ({error}). Free some room and run the same command again."
        ) from error


def load_teacher(config: RunConfig, *, device: torch.device | str = "cpu") -> Any:
    """Load the teacher, frozen: no parameter asks for a gradient."""
    return load_model(teacher_model(config), device=device).requires_grad_(False)


def load_tokenizer(model: ModelConfig) -> Any:
    """Load a model's tokenizer; one without a padding token pads with its end-of-sequence token, which is masked."""
    from transformers import AutoTokenizer

    source = locate(model)
    with reading(model, "load a tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(source, revision=model.revision or None, trust_remote_code=False)
    names = {"tokenizer.json", *tokenizer.vocab_files_names.values()}
    if (
        tokenizer.vocab_files_names
        and Path(source).is_dir()
        and not any((Path(source) / name).exists() for name in names)
    ):
        raise ConfigError(  # transformers would continue with an empty vocabulary
            f"{model.path}: holds no tokenizer ({', '.join(sorted(names))}). Save the model's own tokenizer there."
        )
    if tokenizer.pad_token_id is None and tokenizer.eos_token_id is not None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_config(model: ModelConfig) -> Any:
    """A model's configuration, without its weights."""
    from transformers import AutoConfig

    source = locate(model)
    with reading(model, "read config.json"):
        return AutoConfig.from_pretrained(source, revision=model.revision or None, trust_remote_code=False)


def build_empty(settings: Any, *, attention: str, who: str) -> tuple[Any, list[str]]:
    """A causal language model without weights, on the meta device, and what is wrong with it.

    Args:
        settings: a transformers configuration.
        attention: the attention kernel asked for; another is tried where the architecture does not have it.
        who: what a sentence calls the model.

    Returns:
        The model, None where transformers cannot build it; and a sentence for every fault.
    """
    from transformers import AutoModelForCausalLM

    reasons = []
    for kernel in dict.fromkeys((attention, "sdpa", "eager")):
        try:
            with torch.device("meta"):
                built = AutoModelForCausalLM.from_config(copy.deepcopy(settings), attn_implementation=kernel)
        except (ValueError, ImportError, KeyError, TypeError, AttributeError) as error:
            reasons.append(_first_line(error).partition(" Please ")[0].rstrip(". "))
            continue
        if kernel == attention:
            return built, []
        wrong = f"{who}: '{settings.model_type}' cannot compute attention with '{attention}' ({reasons[0]})."
        return built, [f"{wrong} Set {who}.attention={kernel}."]
    return None, [
        f"{who}: transformers cannot build '{settings.model_type}' as a causal language model ({reasons[0]})."
    ]


def locate(model: ModelConfig) -> str:
    """The folder or hub name to load from; models that an installed package brings are unpacked on first use.

    Raises:
        ConfigError: no path, an absent folder, or a folder without ``config.json`` or safetensors weights.
    """
    if not model.path:
        raise ConfigError("student.path: must name a folder with a Hugging Face model, got nothing. Set student.path.")
    if model.path in PACKAGED_MODELS:
        return str(PACKAGED_MODELS[model.path]())
    folder = Path(model.path)
    if not folder.exists():
        if model.path.count("/") == 1 and not model.path.startswith((".", "/", "~")):
            return model.path  # a hub name; transformers says so when it is neither cached nor reachable
        raise ConfigError(f"{model.path}: is not a folder. Give a folder with config.json, weights and a tokenizer.")
    if not (folder / "config.json").exists():
        raise ConfigError(f"{folder}: holds no Hugging Face model (no config.json).")
    if (folder / "adapter_config.json").exists():
        raise ConfigError(
            f"{folder}: holds an adapter, which needs another model's weights. Merge it: "
            "model.merge_and_unload().save_pretrained(folder)."
        )
    if not any(folder.glob("*.safetensors")):
        pickles = sorted(file.name for file in folder.iterdir() if file.suffix in {".bin", ".pt", ".pth"})
        instead = f"found {', '.join(pickles)}, which can run code when read" if pickles else "found no weights"
        raise ConfigError(
            f"{folder}: weights must be safetensors, {instead}. "
            "Convert them where you trust them: model.save_pretrained(folder) writes safetensors."
        )
    return str(folder)


def load_generation_config(model: ModelConfig) -> Any:
    """A model's generation config; without a file of that name, what its config.json says.

    Raises:
        ConfigError: a file of that name in the model's folder that cannot be read.
    """
    from transformers import GenerationConfig

    try:
        return GenerationConfig.from_pretrained(locate(model), revision=model.revision or None)
    except (OSError, ValueError, TypeError) as error:
        if (Path(locate(model)) / GENERATION_CONFIG).is_file():
            raise ConfigError(
                f"{model.path}: {GENERATION_CONFIG} must hold one JSON object of settings ({_first_line(error)}). "
                "Correct it, or delete it to take what config.json says."
            ) from error
        return GenerationConfig.from_model_config(load_config(model))


def own_files(model: ModelConfig, tokenizer: Any) -> list[Path]:
    """The files with which a model brings its tokenizer, chat template and generation config, those that there are.

    Args:
        model: a folder, or a hub name whose files are in the local cache since the tokenizer was loaded.
        tokenizer: loaded from it; it names the files of its vocabulary.
    """
    from transformers.utils import cached_file

    names = {*TOKENIZER_FILES, GENERATION_CONFIG, *tokenizer.vocab_files_names.values()}
    source = locate(model)
    if Path(source).exists():
        files = [Path(source) / name for name in sorted(names)]
        return [file for file in files if file.is_file()]
    cached = [
        cached_file(
            source,
            name,
            revision=model.revision or None,
            local_files_only=True,
            _raise_exceptions_for_gated_repo=False,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
        for name in sorted(names)
    ]
    return [Path(file) for file in cached if file]


def context_limit(model_config: Any) -> int | None:
    """Positions that the model was made for; None when its configuration does not say."""
    limit = getattr(model_config, "max_position_embeddings", None) or getattr(model_config, "n_positions", None)
    return int(limit) if limit else None


def pick_device() -> torch.device:
    """The accelerator of this process, one for each local rank, or the CPU."""
    import os

    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    return torch.device("cpu")


def quiet_transformers() -> None:
    """Let transformers say errors only and show no bars of its own; this package has its own progress."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
