"""What a run is: its configuration, its folder, safe files, seeds, signals and progress; no step of its own."""
