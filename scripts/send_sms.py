"""Send the one-time code as an SMS through Twilio.

Secrets: TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_FROM (the number that sends).
"""

from urllib.parse import quote

import requests

NEEDED = ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_FROM"]
FRIENDLY = "We cannot send a code at the moment. Please try again later."


def hook(recipient, text, context, cb):
    secrets = context.webtask.secrets
    missing = [name for name in NEEDED if name not in secrets]
    if missing:
        return cb(SendPhoneMessageError(f"set the secrets {', '.join(missing)}", FRIENDLY))
    if context.message_type != "sms":
        return cb(SendPhoneMessageError(f"there is no {context.message_type} here", "Please choose SMS instead."))
    form = {"To": recipient, "From": secrets.TWILIO_FROM, "Body": text}
    try:
        sent = send(secrets.TWILIO_ACCOUNT_SID, secrets.TWILIO_AUTH_TOKEN, form)
    except requests.HTTPError as error:
        return cb(SendPhoneMessageError(f"Twilio refused the message: {told(error.response)}", FRIENDLY))
    except requests.RequestException as error:
        return cb(SendPhoneMessageError(f"no answer from Twilio: {error}", FRIENDLY))
    console.log(f"a code for {context.user.user_id}, by {context.action}: {sent['sid']}")
    cb(None, {})


def send(account, token, form):
    url = f"https://api.twilio.com/2010-04-01/Accounts/{quote(account, safe='')}/Messages.json"
    reply = requests.post(url, data=form, auth=(account, token), timeout=5)
    reply.raise_for_status()
    return reply.json()


def told(reply):
    """What Twilio says was wrong, or the bare status."""
    try:
        return reply.json()["message"]
    except (ValueError, LookupError, TypeError):
        return reply.status_code
