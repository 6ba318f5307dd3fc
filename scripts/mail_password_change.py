"""Tell the person by e-mail, through SendGrid, that their password has changed.

Secrets: SENDGRID_API_KEY; MAIL_FROM, the sender's address (optional).
"""

from datetime import datetime

import requests

URL = "https://api.sendgrid.com/v3/mail/send"


def hook(user, context, cb):
    secrets = context.webtask.secrets
    if not user.get("email"):
        return cb(Error(f"user {user.id} has no e-mail address to write to"))
    if not secrets.get("SENDGRID_API_KEY"):
        return cb(Error("set the secret SENDGRID_API_KEY"))
    mail = compose(secrets.get("MAIL_FROM", "security@example.com"), user.email, notice(user))
    headers = {"Authorization": "Bearer " + secrets.SENDGRID_API_KEY}
    try:
        reply = requests.post(URL, headers=headers, json=mail, timeout=5)
    except (requests.Timeout, requests.ConnectionError) as error:  # not again: a person would get two
        return cb(Error(f"no answer from SendGrid: {error}"))
    if reply.status_code != 202:
        return cb(Error(f"SendGrid answered {reply.status_code}: {reason(reply)}"))
    console.log(f"SendGrid took the mail as {reply.headers.get('X-Message-Id')}")
    cb()


def notice(user):
    changed = datetime.fromisoformat(user.last_password_reset)
    return (
        f"The password of your account {user.email} was changed on {changed:%d %B %Y at %H:%M} UTC.\n"
        "If that was not you, reset your password now and tell us."
    )


def compose(sender, recipient, text):
    return {
        "personalizations": [{"to": [{"email": recipient}]}],
        "from": {"email": sender},
        "subject": "Your password was changed",
        "content": [{"type": "text/plain", "value": text}],
    }


def reason(reply):
    """SendGrid says what was wrong as JSON; what stands in between says it in other ways, or not at all."""
    try:
        return reply.json()["errors"][0]["message"]
    except (ValueError, LookupError, TypeError):
        return reply.reason
