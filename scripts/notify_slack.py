"""Tell the team's Slack channel who signed up.

Slack asks for patience when a channel gets many messages at once: then the hook waits as long as Slack says, once.

Secret: SLACK_WEBHOOK_URL, the address of an incoming webhook.
"""

import html
import time

import requests

LONGEST_WAIT = 5  # seconds


def hook(user, context, cb):
    url = context.webtask.secrets.get("SLACK_WEBHOOK_URL")
    if not url:
        return cb(Error("set the secret SLACK_WEBHOOK_URL"))
    name = user.get("username") or user.get("email") or user.id
    message = {"text": f"*{safe(name)}* signed up through {safe(context.connection.name)}"}
    reply = requests.post(url, json=message, timeout=5)
    if reply.status_code == 429 and asked_wait(reply) <= LONGEST_WAIT:
        time.sleep(asked_wait(reply))
        reply = requests.post(url, json=message, timeout=5)
    if not reply.ok:
        return cb(Error(f"Slack answered {reply.status_code}: {reply.text}"))
    cb()


def asked_wait(reply):
    """Retry-After in seconds; Slack writes no dates."""
    return int(reply.headers.get("Retry-After", 1))


def safe(text):
    """People choose their names: `<!channel>` as a name must not ring every phone."""
    return html.escape(text, quote=False)
