"""For users: test a weight function of one's own against the laws, and draw inputs for one's own tests."""
