"""The content security policy of the admin, which is wider than that of every other page."""

from csp.constants import UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest, HttpResponseBase

# The admin theme evaluates expressions written in its templates and sets styles inline; nothing else does.
ADMIN_ADDITIONS = {"script-src": [UNSAFE_EVAL], "style-src": [UNSAFE_INLINE]}


class PolicyMiddleware(CSPMiddleware):
    """django-csp, with the additions above for pages of the admin and for no other."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts: PolicyParts = super().get_policy_parts(request, response, report_only)
        match = request.resolver_match
        if match and match.app_names[:1] == ["admin"]:
            parts.update = ADMIN_ADDITIONS | (parts.update or {})
        return parts
