"""Models so small that tests can make them: real architectures and files, random weights."""
