"""Rollouts, grading and weighted distillation of Hugging Face causal language models."""
