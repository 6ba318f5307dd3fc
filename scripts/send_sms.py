"""Send the one-time code as an SMS through Twilio.

Composes the request; sending it waits for HTTP in hooks. The account's token is only needed then, and stays out
of the answer.

Secrets: TWILIO_ACCOUNT_SID, TWILIO_FROM (the number that sends).
"""

from urllib.parse import quote, urlencode

NEEDED = ["TWILIO_ACCOUNT_SID", "TWILIO_FROM"]
FRIENDLY = "We cannot send a code at the moment. Please try again later."


def hook(recipient, text, context, cb):
    secrets = context.webtask.secrets
    missing = [name for name in NEEDED if name not in secrets]
    if missing:
        return cb(SendPhoneMessageError(f"set the secrets {', '.join(missing)}", FRIENDLY))
    if context.message_type != "sms":
        return cb(SendPhoneMessageError(f"there is no {context.message_type} here", "Please choose SMS instead."))
    account = quote(secrets.TWILIO_ACCOUNT_SID, safe="")
    form = {"To": recipient, "From": secrets.TWILIO_FROM, "Body": text}
    console.log(f"a code for {context.user.user_id}, by {context.action}")
    cb(None, {"url": f"https://api.twilio.com/2010-04-01/Accounts/{account}/Messages.json", "form": urlencode(form)})
