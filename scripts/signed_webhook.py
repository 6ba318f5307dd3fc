"""Report a changed password to a webhook of yours, signed, and again when it is busy.

The signature is that of sign_webhook.py. Every try sends the same bytes under the same Idempotency-Key, so that the
receiver can drop what it has seen. A receiver that answers 503, or not in time, is asked again after a while, each
time a longer one; any other error is final.

Secrets: WEBHOOK_URL; WEBHOOK_KEY, the key that the receiver knows too.
"""

import hashlib
import hmac
import json
import time
from datetime import datetime

import requests

DEADLINE = 12  # seconds for all tries together: less than a hook has
FIRST_WAIT = 0.1  # seconds; then twice as long each time
TRIES = 4


def hook(user, context, cb):
    secrets = context.webtask.secrets
    missing = [name for name in ("WEBHOOK_URL", "WEBHOOK_KEY") if not secrets.get(name)]
    if missing:
        return cb(Error(f"set the secrets {', '.join(missing)}"))
    event = {"type": "password.changed", "user_id": user.id, "connection": context.connection.name}
    body = json.dumps(event, sort_keys=True)
    timestamp = int(datetime.fromisoformat(user.last_password_reset).timestamp())
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": f"{user.id}-{timestamp}",
        "X-Signature": f"t={timestamp},v1={signature(secrets.WEBHOOK_KEY, timestamp, body)}",
    }
    reply = send(secrets.WEBHOOK_URL, headers, body)
    if reply is None:
        return cb(Error("the webhook is busy; gave up"))
    reply.raise_for_status()
    cb(None, {"status": reply.status_code})


def send(url, headers, body):
    """The first answer that is one, or None."""
    end = time.monotonic() + DEADLINE
    for number in range(TRIES):
        try:
            reply = requests.post(url, data=body, headers=headers, timeout=min(4, end - time.monotonic()))
            if reply.status_code != 503:
                return reply
            console.warn(f"try {number + 1}: the webhook is busy")
        except requests.Timeout:
            console.warn(f"try {number + 1}: the webhook does not answer")
        wait = FIRST_WAIT * 2**number
        if number + 1 == TRIES or time.monotonic() + wait + 1 > end:
            return None
        time.sleep(wait)


def signature(key, timestamp, body):
    message = f"{timestamp}.{body}"
    return hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()
