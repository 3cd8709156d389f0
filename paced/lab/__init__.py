"""The embedded lab: a synthetic verifiable task and tiny models, seconds on a CPU."""
