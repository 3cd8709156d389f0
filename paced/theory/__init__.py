"""The claims of the paper, checked by machine: what is true, what is not, and what is true instead."""
