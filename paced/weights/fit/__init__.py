"""Fits of the law of pass rates: likelihood, moments, intervals, what a fit says."""
