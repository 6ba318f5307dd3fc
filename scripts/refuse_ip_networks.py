"""Refuse sign-ups from networks that you have had enough of.

Secret: BLOCKED_NETWORKS, comma-separated, as in "203.0.113.0/24, 2001:db8::/32" (optional).
"""

from ipaddress import ip_address, ip_network


def hook(user, context, cb):
    request = context.get("request") or {}
    if not request.get("ip"):
        return cb(None, {})
    address = client_address(request.ip)
    for network in blocked_networks(context.webtask.secrets):
        if address in network:
            reason = f"{address} is in the blocked network {network}"
            return cb(PreUserRegistrationError(reason, "Sign-up is not possible from your network."))
    cb(None, {})


def client_address(text):
    """IPv4 arrives in IPv6 notation: '::ffff:10.0.0.1' → 10.0.0.1."""
    address = ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def blocked_networks(secrets):
    listed = secrets.get("BLOCKED_NETWORKS", "").split(",")
    return [ip_network(text.strip()) for text in listed if text.strip()]
