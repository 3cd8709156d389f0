"""What a finished run says: accuracy with intervals, compared methods, curriculum, pass rates, training curves."""
