"""Send the one-time code as an SMS through Twilio.

Secrets: TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_FROM (the number that sends).
"""

from urllib.parse import quote

import requests

NEEDED = ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_FROM"]
FRIENDLY = "We cannot send a code at the moment. Please try again later."


def hook(recipient, text, context, cb):
    secrets = context.webtask.secrets
    missing = [name for name in NEEDED if not secrets.get(name)]
    if missing:
        return cb(SendPhoneMessageError(f"set the secrets {', '.join(missing)}", FRIENDLY))
    if context.message_type != "sms":
        return cb(SendPhoneMessageError(f"there is no {context.message_type} here", "Please choose SMS instead."))
    form = {"To": recipient, "From": secrets.TWILIO_FROM, "Body": text}
    try:
        reply = send(secrets.TWILIO_ACCOUNT_SID, secrets.TWILIO_AUTH_TOKEN, form)
    except (requests.Timeout, requests.ConnectionError) as error:  # not again: a person would get two
        return cb(SendPhoneMessageError(f"no answer from Twilio: {error}", FRIENDLY))
    if reply.status_code != 201:
        said = told(reply, "message") or reply.status_code
        return cb(SendPhoneMessageError(f"Twilio refused the message: {said}", FRIENDLY))
    console.log(f"a code for {context.user.user_id}, by {context.action}: {told(reply, 'sid') or 'no id'}")
    cb(None, {})


def send(account, token, form):
    url = f"https://api.twilio.com/2010-04-01/Accounts/{quote(account, safe='')}/Messages.json"
    return requests.post(url, data=form, auth=(account, token), timeout=5)


def told(reply, name):
    """What Twilio says under that name, if anything: the status alone tells how it went."""
    try:
        return reply.json()[name]
    except (ValueError, LookupError, TypeError):
        return None
