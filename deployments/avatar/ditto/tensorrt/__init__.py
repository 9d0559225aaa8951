"""Ditto's networks as TensorRT plans: the fastest form, one for each kind of GPU.

library    TensorRT or TensorRT for RTX, whichever is installed
builder    an ONNX file becomes a plan
plans      plans are kept, and built anew where they do not fit
workshop   a checkpoint's files become plans, and engines
kernels    what is compiled where a plan runs
runner     an engine runs on buffers that stay where they are, its launches recorded once
card       the GPU, through torch
networks   the above as ``runtime.Networks``
"""
