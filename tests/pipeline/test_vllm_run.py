"""A whole run of the lab on vLLM, with a stage change: pass rates, references and training as with our own sampler."""

from __future__ import annotations

import json

import pytest
from engines_setup import NOT_THERE, VLLM_PYTHON
from tiny_run import contents

from paced.pipeline.job import run_job
from paced.pipeline.open import open_run
from paced.run.progress import Silent

RECIPE = {
    "seed": 1,
    "lab": {"design": "hard", "num_problems": 120, "num_heldout": 20, "num_prior": 20},
    "prompts": {"student": "{problem}", "teacher": "{solution}#{problem}"},
    "training": {"batch_size": 10, "learning_rate": 1e-4, "reduction": "token_mean"},
    "stages": [
        {"divergence": "forward_kl", "along": "reference", "share": 0.5},
        {"divergence": "reverse_kl", "along": "rollout", "share": 0.5, "recompute_every": 3},
    ],
}


@pytest.mark.slow
@pytest.mark.skipif(not VLLM_PYTHON.exists(), reason=NOT_THERE)
def test_a_lab_run_of_two_stages_on_vllm_has_the_files_of_one_on_our_own_sampler(tmp_path):
    files, environments = {}, {}
    for name in ("hf", "vllm"):
        engine = {"name": name, "parameters": {"python": str(VLLM_PYTHON)} if name == "vllm" else {}}
        sampling = {"max_new_tokens": 8, "engine": engine}
        recipe = RECIPE | {
            "name": "lab",
            "rollouts": {"num_samples": 4, "sampling_temperature": 1.0} | sampling,
            "references": {"num_samples": 1, "sampling_temperature": 0.0} | sampling,
            "evaluation": {"sampling": {"num_samples": 2, "sampling_temperature": 0.6, "top_p": 0.95} | sampling},
        }
        file = tmp_path / f"{name}.yaml"
        file.write_text(json.dumps(recipe))  # JSON is YAML
        run = open_run(file, root=tmp_path / name, progress=Silent())
        run_job(run, Silent())
        files[name] = {
            path: data
            for path, data in contents(run.root).items()
            if not path.startswith("steps/") and path != "config.yaml"  # they name the engine
        }
        environments[name] = json.loads(run.environment.read_text())
    assert environments["vllm"]["engines"]["stage-2-rollout"]["vllm"]
    assert files["vllm"].keys() == files["hf"].keys()
    different = [path for path in files["hf"] if files["vllm"][path] != files["hf"][path]]
    assert different == []
