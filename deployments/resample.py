"""Sound at another sample rate, for engines that know only their own."""

import numpy as np

from deployments.types import AudioChunk, Samples


def resampled(audio: AudioChunk, sample_rate_hz: int) -> AudioChunk:
    """The same sound at ``sample_rate_hz``, of the same duration to half a sample.

    libswresample (in PyAV's wheel) with its default windowed sinc: about 0.3 ms per second of
    sound on one core.
    """
    if audio.sample_rate_hz == sample_rate_hz:
        return audio
    n = round(len(audio.samples) * sample_rate_hz / audio.sample_rate_hz)
    samples = np.zeros(n, np.float32)
    if n:
        made = _swresample(audio, sample_rate_hz)[:n]
        samples[: len(made)] = made
    return AudioChunk(samples, sample_rate_hz, audio.start_s)


def _swresample(audio: AudioChunk, sample_rate_hz: int) -> Samples:
    import av

    # Silence after it: of a few samples alone the filter makes nothing.
    samples = np.pad(audio.samples.astype(np.float32), (0, audio.sample_rate_hz // 50))
    frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="flt", layout="mono")
    frame.sample_rate = audio.sample_rate_hz
    resampler = av.AudioResampler("flt", "mono", sample_rate_hz)
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([np.asarray(part.to_ndarray()[0], np.float32) for part in frames])
