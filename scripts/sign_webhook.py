"""Sign the webhook that reports a changed password, so that its receiver knows it is ours.

The signature is HMAC-SHA256 over "TIMESTAMP.BODY". The timestamp is the time of the change, not of the run:
a repeated run signs the same bytes, and the receiver can drop what it has seen. deliver_webhook.py sends it.

Secret: WEBHOOK_KEY, the key that the receiver knows too.
"""

import hashlib
import hmac
import json
from datetime import datetime


def hook(user, context, cb):
    key = context.webtask.secrets.get("WEBHOOK_KEY")
    if not key:
        return cb(Error("set the secret WEBHOOK_KEY: the receiver checks the signature with it"))
    event = {"type": "password.changed", "user_id": user.id, "connection": context.connection.name}
    body = json.dumps(event, sort_keys=True)
    timestamp = int(datetime.fromisoformat(user.last_password_reset).timestamp())
    cb(None, {"body": body, "headers": {"X-Signature": f"t={timestamp},v1={signature(key, timestamp, body)}"}})


def signature(key, timestamp, body):
    message = f"{timestamp}.{body}"
    return hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()
