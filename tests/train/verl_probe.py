"""Run by verl's own interpreter on a bundle: what verl reads of it, and its reductions of weighted losses, as JSON.

python verl_probe.py BUNDLE TOKENIZER LOSSES.json
"""

import json
import os
import shlex
import sys
from pathlib import Path

bundle, tokenizer_folder, losses_file = map(Path, sys.argv[1:])
sys.path.insert(0, str(bundle))
os.environ["VERL_USE_EXTERNAL_MODULES"] = "paced_verl"
os.chdir(bundle)

import torch  # noqa: E402
import verl  # noqa: E402
from hydra import compose, initialize_config_dir  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402
from verl.trainer.distillation.losses import DISTILLATION_SETTINGS_REGISTRY  # noqa: E402
from verl.trainer.ppo.core_algos import agg_loss  # noqa: E402
from verl.utils.config import omega_conf_to_dataclass  # noqa: E402
from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn  # noqa: E402
from verl.utils.tensordict_utils import get_tensordict  # noqa: E402

words = shlex.split(Path("run.sh").read_text().partition("settings=(\n")[2].partition("\n)")[0])
overrides = [word for word in words if "PYTHONPATH" not in word]
with initialize_config_dir(str(Path(verl.__file__).parent / "trainer" / "config"), version_base=None):
    config = compose("ppo_trainer", overrides=overrides)
distillation = omega_conf_to_dataclass(config.distillation)
actor = config.actor_rollout_ref.actor

data = OmegaConf.create(OmegaConf.to_container(config.data) | {"cache_dir": "cache"})
dataset = RLHFDataset(["train.parquet"], AutoTokenizer.from_pretrained(tokenizer_folder), data)
batch = collate_fn([dataset[row] for row in range(len(dataset))])

given = json.loads(losses_file.read_text())
rows = [
    list(batch["extra_info"][row]["problem_id"] for row in range(len(dataset))).index(name) for name in given["ids"]
]
weights = [float(batch["paced_weight"][row]) for row in rows]
losses, mask = torch.tensor(given["losses"]), torch.tensor(given["mask"])
carried = get_tensordict({"losses": losses, "paced_weight": weights})
import paced_verl  # noqa: E402

weighted = paced_verl.times_weight(carried["losses"], carried)
size = given["micro_batch"]
reduced = {
    mode: sum(
        float(
            agg_loss(
                weighted[start : start + size],
                mask[start : start + size],
                mode,
                batch_num_tokens=mask.sum(),
                global_batch_size=len(mask),
            )
        )
        for start in range(0, len(mask), size)
    )
    for mode in ("token-mean", "seq-mean-token-mean")
}
print(
    json.dumps(
        {
            "losses": sorted(name for name in DISTILLATION_SETTINGS_REGISTRY if name.startswith("paced_")),
            "loss_mode": distillation.distillation_loss.loss_mode,
            "loss_agg_mode": actor.loss_agg_mode,
            "lr": actor.optim.lr,
            "prompts": [list(batch["raw_prompt"][row]) for row in range(len(dataset))],
            "golds": [batch["reward_model"][row]["ground_truth"] for row in range(len(dataset))],
            "weights": [float(one) for one in batch["paced_weight"]],
            "reduced": reduced,
        }
    )
)
