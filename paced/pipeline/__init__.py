"""The steps of a run, from problems to evaluation, and the whole job with its compared methods."""
