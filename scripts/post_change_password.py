"""Tell the person by e-mail that their password has changed.

Composes the mail in the shape that SendGrid's /v3/mail/send takes, and hands it to cb; mail_password_change.py sends
such a mail.

Secret: MAIL_FROM, the sender's address (optional).
"""

from datetime import datetime


def hook(user, context, cb):
    if not user.get("email"):
        return cb(Error(f"user {user.id} has no e-mail address to write to"))
    sender = context.webtask.secrets.get("MAIL_FROM", "security@example.com")
    cb(None, compose(sender, user.email, notice(user, context.connection.name)))


def notice(user, connection_name):
    return (
        f"Hello {user.get('username') or user.email},\n\n"
        f"the password of your account {user.email} ({connection_name}) was changed "
        f"on {readable(user.last_password_reset)}.\n\n"
        "If that was you, there is nothing to do.\n"
        "If it was not, reset your password now and tell us."
    )


def readable(timestamp):
    """'2019-02-27T14:14:29.206Z' → '27 February 2019 at 14:14 UTC'."""
    return datetime.fromisoformat(timestamp).strftime("%d %B %Y at %H:%M UTC")


def compose(sender, recipient, text):
    return {
        "personalizations": [{"to": [{"email": recipient}]}],
        "from": {"email": sender},
        "subject": "Your password was changed",
        "content": [{"type": "text/plain", "value": text}],
    }
