"""The networks of Ditto in PyTorch, with the published keys and shapes.

Each is built as it was published, so that its weights load strictly, and then ``fold`` exchanges
layers for cheaper ones that compute the same. Only the folded network runs. Torch is imported at
the top of these modules, so only what is about to run a network may import them.
"""
