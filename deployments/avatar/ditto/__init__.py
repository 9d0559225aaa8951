"""Ditto: one photograph, animated from sound by diffusion in motion space (Li et al., ACM MM 2025).

Our own implementation, which loads the published checkpoints. ``networks`` holds the networks, one
file each, with the paper's names; what lies between them is in the other modules.
"""
