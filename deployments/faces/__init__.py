"""Where faces are in a picture, and their landmarks: MediaPipe's networks, run by OpenCV.

Runs in the ingress, once for each picture that somebody adds, so that every avatar engine gets
landmarks. Weights: Google's, Apache-2.0, as they lie in the wheel of ``mediapipe==0.10.21``
(``requirements-portraits.lock``), of which nothing else is used.
"""

from deployments.faces.finder import Face, FaceFinder
from deployments.faces.weights import why_missing

__all__ = ["Face", "FaceFinder", "why_missing"]
