"""Ditto: one photograph, animated from sound by diffusion in motion space (Li et al., ACM MM 2025).

Our own implementation, which loads the published checkpoints.

    settings, files       what can be set, and where a checkpoint keeps what
    config_pickle,        its configuration, read without trusting it, and what of it is asked of
    published_config      the engine
    register, crop,       a photograph becomes the square that the networks see, and back: with
    eyes, detectors,      MediaPipe's landmarks or the published detectors
    paste
    sound, features       speech becomes features, in any pieces
    windows, jobs         features become motion, window by window; sessions share a batch
    stitcher, controls    motion becomes key points of this face, with what is asked of it
    motion, early, state  the three above as one path, and the state that travels with a turn
    ways, moving          live and offline; stretches of several sessions at once
    runtime               what runs the networks: networks (torch), onnx_networks, tensorrt
    avatar                all of it as an engine
"""
