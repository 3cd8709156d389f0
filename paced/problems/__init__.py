"""What is asked: problem files read and checked, and the prompts that a model reads."""
