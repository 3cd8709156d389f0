"""Weights from anyone's table of pass rates, without a run: reading, the text of `paced fit`, its figure."""
