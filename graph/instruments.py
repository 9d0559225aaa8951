"""Ray Serve's metrics as the instruments of ``graph.metrics``."""

from ray.serve.metrics import Counter, Gauge, Histogram

from graph.metrics import BatchMetrics, Instruments, LlmMetrics

RAY = Instruments(counter=Counter, gauge=Gauge, histogram=Histogram)


def batch_observer() -> BatchMetrics:
    """Made on the avatar's replica, since a metric belongs to the process that counts."""
    return BatchMetrics(RAY)


def llm_observer() -> LlmMetrics:
    """Made on the language model's replica."""
    return LlmMetrics(RAY)
