"""Training: the two steps, and the loop around them."""
