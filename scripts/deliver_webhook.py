"""Report a changed password to a webhook of yours, signed, and again when it is busy.

The signature is that of sign_webhook.py. Every try sends the same bytes under the same Idempotency-Key, so that the
receiver can drop what it has seen. A receiver that answers 503, or not at all, is asked again after a while, each time
a longer one. Any other answer but a 2xx is an error, a redirect too: what is signed goes to one address. As the address
may be a secret, no error and no log event names it.

Secrets: WEBHOOK_URL; WEBHOOK_KEY, the key that the receiver knows too.
"""

import hashlib
import hmac
import json
import time
from datetime import datetime

import requests

BUSY = 503
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
    try:
        status = deliver(secrets.WEBHOOK_URL, headers, body)
    except requests.RequestException:
        return cb(Error("the webhook cannot be called; look at its address and its certificate"))
    if status is None:
        return cb(Error("no answer from the webhook; gave up"))
    if not 200 <= status < 300:
        return cb(Error(f"the webhook answered {status}"))
    cb(None, {"status": status})


def deliver(url, headers, body):
    """The status of the first answer that is not 503; else of the last try, None where nothing came."""
    end = time.monotonic() + DEADLINE
    for number in range(TRIES):
        status = post(url, headers, body, min(4, end - time.monotonic()))
        if status not in (None, BUSY):
            break
        console.warn(f"try {number + 1}: the webhook {'is busy' if status else 'does not answer'}")
        wait = FIRST_WAIT * 2**number
        if number + 1 == TRIES or time.monotonic() + wait + 1 > end:
            break
        time.sleep(wait)
    return status


def post(url, headers, body, seconds):
    """The status of the answer, or None."""
    try:
        return requests.post(url, data=body, headers=headers, timeout=seconds, allow_redirects=False).status_code
    except requests.exceptions.SSLError:
        raise  # a ConnectionError too, but one that stays
    except (requests.Timeout, requests.ConnectionError):
        return None


def signature(key, timestamp, body):
    message = f"{timestamp}.{body}"
    return hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()
