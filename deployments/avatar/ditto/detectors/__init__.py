"""The detectors of the published checkpoint: a face, its points, and the mesh of its square.

The face detector and the 106 points are InsightFace's, whose weights may be used non-commercially
only; the 203 points are LivePortrait's (MIT); BlazeFace and FaceMesh are MediaPipe's (Apache-2.0).
"""

from deployments.avatar.ditto.detectors.nets import Detectors, Net, open_detectors

__all__ = ["Detectors", "Net", "open_detectors"]
