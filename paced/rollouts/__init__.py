"""How answers are made: sampling engines behind one interface, and the collection of rollouts in a file."""
