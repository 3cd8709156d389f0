"""The page of a run and the tables on the terminal."""
