"""The claims of the paper and of its extensions, one subject a file, each with checks and controls."""
