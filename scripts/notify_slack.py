"""Tell the team's Slack channel who signed up.

Slack asks for patience when a channel gets many messages at once: then the hook waits as long as Slack says, once.
A message that may have arrived is not sent again. As the address is a secret, no error names it.

Secret: SLACK_WEBHOOK_URL, the address of an incoming webhook.
"""

import html
import re
import time

import requests

LONGEST_WAIT = 5  # seconds


def hook(user, context, cb):
    url = context.webtask.secrets.get("SLACK_WEBHOOK_URL")
    if not url:
        return cb(Error("set the secret SLACK_WEBHOOK_URL"))
    name = user.get("username") or user.get("email") or user.id
    message = {"text": f"*{safe(name)}* signed up through {safe(context.connection.name)}"}
    try:
        reply = post(url, message)
        if reply.status_code == 429 and asked_wait(reply) <= LONGEST_WAIT:
            time.sleep(asked_wait(reply))
            reply = post(url, message)
    except (requests.Timeout, requests.ConnectionError):
        return cb(Error("no answer from Slack"))
    if reply.status_code != 200:
        return cb(Error(f"Slack answered {reply.status_code}: {reply.text[:200]}"))
    cb()


def post(url, message):
    return requests.post(url, json=message, timeout=5, allow_redirects=False)


def asked_wait(reply):
    """Retry-After in seconds; what is no such number, a date too, is too long."""
    asked = reply.headers.get("Retry-After", "1")
    return int(asked) if re.fullmatch("[0-9]{1,4}", asked) else LONGEST_WAIT + 1


def safe(text):
    """People choose their names: `<!channel>` as a name must not ring every phone."""
    return html.escape(text, quote=False)
