"""What a claim is, how one is decided, the list of all, and the runner behind `paced verify`."""
