"""Why a call has no answer: a rule refuses it, for good, or it failed on its way.

A hook sees the first as `EgressRefused: rule port: …`, the second as the `requests` exception of its kind.
"""

from __future__ import annotations

from sandbox.wire import FailureKind

RULES = {  # each with what it refuses
    "url": "a URL that is not plain ASCII in the shape of RFC 3986, or longer than 8 KiB",
    "scheme": "any scheme but http and https",
    "userinfo": "a user name or password within a URL",
    "port": "a port that the policy does not name, or what is none",
    "host": "a host that is no name and no address",
    "address-spelling": "an IPv4 address that is not four plain decimal numbers",
    "host-not-allowed": "a host that is not on the tenant's list, where the policy asks for one",
    "private-address": "a host one of whose addresses is not public",
    "metadata-address": "the addresses of clouds' metadata services, whatever the operator allows",
    "method": "any method but GET, POST, PUT, PATCH, DELETE, HEAD and OPTIONS",
    "header": "a header that is not RFC 9110's, one too many, or one that is the broker's to set",
    "request-size": "a request body over the policy's bound",
    "response-size": "a response that is, decoded, over the policy's bound",
    "response-headers": "a response with too many or too large headers",
    "call-count": "more calls in one job than the policy allows",
}


class Refused(Exception):
    """A rule refuses the call. Permanent: asked again, it is refused again."""

    def __init__(self, rule: str, said: str) -> None:
        super().__init__(said)
        assert rule in RULES, rule
        self.rule = rule
        self.said = said  # what was asked for and what to do; never an address that a name led to


class Unanswered(Exception):
    """The call failed on its way."""

    def __init__(self, kind: FailureKind, said: str) -> None:
        super().__init__(said)
        self.kind = kind
        self.said = said
