"""Which pages of other servers may ask."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from deployments.errors import ProtocolError


class AllowOrigins(CORSMiddleware):
    """Starlette's layer; what it refuses in plain text becomes a problem, made further out."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """The answer to a browser that asks what a page may do.

        Raises:
            ProtocolError: ``forbidden``.
        """
        answer = super().preflight_response(request_headers)
        if answer.status_code >= 400:
            raise ProtocolError(
                "This origin, method or header is not among those that the server's profile "
                "allows (`allowed_origins`).",
                code="forbidden",
            )
        return answer
