"""What a run says: intervals, comparisons, curriculum, gradient SNR, figures and the report."""
