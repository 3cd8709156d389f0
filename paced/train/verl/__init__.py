"""The backend ``verl``: a stage written as a bundle that verl trains, since verl runs jobs of its own."""
