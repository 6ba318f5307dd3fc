"""Refuse a password that stands in a known breach, by Have I Been Pwned.

The service is asked for all breached passwords whose SHA-1 begins with the same five digits; neither the password nor
its whole hash leaves the engine. The five digits are part of the URL, so the execution's record of the call and the
hook's log keep them. When the service is of no help, the sign-up goes on: that is no reason to lose a user.
Needs no secret.
"""

import hashlib

import requests

FRIENDLY = "This password stands in a list of stolen passwords. Please choose another one."


def hook(user, context, cb):
    if not user.get("password"):
        return cb(None, {})  # passwordless
    digest = hashlib.sha1(user.password.encode()).hexdigest().upper()
    try:
        seen = times_seen(digest[:5], digest[5:])
    except (requests.RequestException, ValueError) as error:
        console.warn(f"the password was not looked up: {error}")
        return cb(None, {})
    if seen:
        return cb(PreUserRegistrationError(f"the password was seen in breaches {seen} times", FRIENDLY))
    cb(None, {})


def times_seen(prefix, suffix):
    """How often. With padding, so that the length of the answer tells nothing: padded lines count 0."""
    url = f"https://api.pwnedpasswords.com/range/{prefix}"
    reply = requests.get(url, headers={"Add-Padding": "true"}, timeout=3)
    reply.raise_for_status()
    counts = dict(line.partition(":")[::2] for line in reply.text.splitlines())
    return int(counts.get(suffix, 0))
