"""The source of the built-in face: ``python -m deployments.avatar.painting`` paints it again.

An original character, drawn by the numbers in this package and by nothing else: no photograph and
no model had a part in the picture. (The mesh's points that cannot be known from the drawing, such
as those of the cheeks, were measured on the painting with MediaPipe's face-landmark network,
Apache-2.0, and are kept in ``portraits/mesh.json``.) Nothing of it is imported at run time.
"""
