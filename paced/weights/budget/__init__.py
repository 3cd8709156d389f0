"""Which problem gets how many rollouts, and what a budget buys."""
