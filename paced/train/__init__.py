"""The training of one stage: losses, the native loop, and the examples it takes; blind to how weights were made."""
