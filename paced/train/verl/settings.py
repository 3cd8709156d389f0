"""A recipe in verl's words: what verl can do of it, and the settings that say it there."""

from __future__ import annotations

from paced.run.config import RunConfig, StageConfig

LOSSES = {"forward_kl": "paced_forward_kl_topk", "reverse_kl": "paced_k3"}
"""Divergence of a stage -> the loss of ``paced_verl.py`` that is nearest to it."""
REDUCTIONS = {"sequence_mean": "seq-mean-token-mean", "token_mean": "token-mean"}
"""``training.reduction`` -> verl's ``loss_agg_mode`` with the same denominator (with ``normaliser: dataset``)."""


def verl_faults(config: RunConfig) -> list[str]:
    """A sentence for everything in a recipe that verl 0.9 cannot do."""
    training, prompts = config.training, config.prompts
    faults = []
    for number, stage in enumerate(config.stages, start=1):
        place = f"stages.{number}"
        if stage.along != "rollout" or not stage.fresh_rollouts:
            faults.append(
                f"{place}: verl distils on-policy only. Set along: rollout and fresh_rollouts: true, or choose another "
                "training.backend."
            )
        if stage.divergence.name not in LOSSES:
            faults.append(
                f"{place}.divergence must be one of {', '.join(LOSSES)} with the backend verl, got "
                f"'{stage.divergence.name}'."
            )
        if stage.recompute_every:
            faults.append(f"{place}.recompute_every must be 0 with the backend verl: its weights are fixed in a file.")
    if prompts.teacher != prompts.student:
        faults.append(
            "prompts.teacher must be the same as prompts.student with the backend verl, whose teacher reads the "
            "student's prompt."
        )
    if not prompts.use_chat_template or prompts.end_of_answer:
        faults.append(
            "prompts must use the chat template and its own end with the backend verl. Set use_chat_template: true and "
            "leave out end_of_answer."
        )
    if config.student.adapter is not None:
        faults.append("student.adapter must be null with the backend verl, whose own configuration has LoRA.")
    for who, model in (("student", config.student), ("teacher", config.teacher)):
        if model.revision:
            faults.append(
                f"{who}.revision must be empty with the backend verl, which takes a model's newest one. Name a folder."
            )
    fixed = {
        "batching": "weight",
        "normaliser": "dataset",
        "loss_temperature": 1.0,
        "adam_epsilon": 1e-8,
        "interpolation": "none",
        "track_snr": False,
    }
    faults += [
        f"training.{key} must be {value} with the backend verl, got {getattr(training, key)}."
        for key, value in fixed.items()
        if getattr(training, key) != value
    ]
    return faults


def verl_settings(
    config: RunConfig,
    stage: StageConfig,
    *,
    student: str,
    teacher: str,
    num_problems: int,
    prompt_tokens: int,
    topk: int,
) -> dict[str, str | int | float | bool]:
    """Key of verl's configuration -> value, for one stage.

    Args:
        config: the run's; sampling, optimiser and seed.
        stage: the stage's own section.
        student: folder or hub name of the student that enters the stage.
        teacher: the same of the teacher.
        num_problems: rows of the training file.
        prompt_tokens: length of its longest prompt.
        topk: tokens of the teacher that ``forward_kl`` sees.
    """
    training, sampling = config.training, config.rollouts
    steps_per_epoch = max(1, num_problems // training.batch_size)
    steps = stage.num_steps or max(1, round(stage.num_epochs * steps_per_epoch))
    actor, rollout = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
    teacher_key = "distillation.teacher_models.teacher_model"
    return {
        "algorithm.adv_estimator": "grpo",
        "algorithm.use_kl_in_reward": False,
        "data.train_files": "train.parquet",
        "data.val_files": "train.parquet",
        "data.train_batch_size": training.batch_size,
        "data.max_prompt_length": prompt_tokens,
        "data.max_response_length": sampling.max_new_tokens,
        "data.filter_overlong_prompts": False,
        "data.truncation": "error",
        "data.seed": config.seed,
        "actor_rollout_ref.model.path": student,
        f"{actor}.optim.lr": stage.learning_rate or training.learning_rate,
        f"{actor}.optim.lr_scheduler_type": training.schedule,
        f"{actor}.optim.lr_warmup_steps": training.warmup_steps,
        f"{actor}.optim.weight_decay": training.weight_decay,
        f"{actor}.optim.betas": f"[{training.adam_betas[0]},{training.adam_betas[1]}]",
        f"{actor}.grad_clip": training.clip_norm or 1e9,  # verl has no word for no clipping
        f"{actor}.ppo_mini_batch_size": training.batch_size,
        f"{actor}.use_dynamic_bsz": True,
        f"{actor}.ppo_max_token_len_per_gpu": training.micro_batch_tokens,
        f"{actor}.loss_agg_mode": REDUCTIONS[training.reduction],
        f"{rollout}.name": "vllm",
        f"{rollout}.n": 1,
        f"{rollout}.temperature": sampling.sampling_temperature,
        f"{rollout}.top_p": sampling.top_p,
        f"{rollout}.top_k": -1,
        f"{rollout}.max_model_len": prompt_tokens + sampling.max_new_tokens + 1,
        "distillation.enabled": True,
        f"{teacher_key}.model_path": teacher,
        f"{teacher_key}.inference.max_model_len": prompt_tokens + sampling.max_new_tokens + 1,
        "distillation.distillation_loss.loss_mode": LOSSES[stage.divergence.name],
        "distillation.distillation_loss.topk": topk,
        "distillation.distillation_loss.use_task_rewards": False,
        "distillation.distillation_loss.use_policy_gradient": False,
        "distillation.distillation_loss.loss_max_clamp": "null",  # a clamp would act on weighted losses
        "reward.custom_reward_function.path": "paced_verl.py",
        "reward.custom_reward_function.name": "no_reward",
        "trainer.project_name": "paced",
        "trainer.experiment_name": config.name,
        "trainer.total_training_steps": steps,
        "trainer.total_epochs": -(-steps // steps_per_epoch),
        "trainer.val_before_train": False,
        "trainer.test_freq": -1,
        "trainer.save_freq": training.checkpoint_every or steps,
    }
