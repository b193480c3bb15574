"""Losses: each a plain function and a module with `forward(LossInputs) -> scalar`."""
