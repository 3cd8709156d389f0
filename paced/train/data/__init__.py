"""Problems, prompts and training examples."""
