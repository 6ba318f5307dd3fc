"""Bring a phone number into the form +15551234567 (E.164), and send no code to numbers that charge for it.

A number with one leading 0 is a national one: it gets the country code of the secret. The hook answers with what it
would send; send_sms.py sends one.

Secret: COUNTRY_CODE, as in "44" (optional).
"""

import re

E164 = re.compile(r"\+[1-9][0-9]{7,14}")
PREMIUM_PREFIXES = ("+1900", "+449", "+49900", "+979")
FRIENDLY = "We cannot send a code to this number. Please use another one."


def hook(recipient, text, context, cb):
    number = normalise(recipient, context.webtask.secrets.get("COUNTRY_CODE"))
    if not E164.fullmatch(number):
        return cb(SendPhoneMessageError(f"{recipient!r} is not a phone number", FRIENDLY))
    if number.startswith(PREMIUM_PREFIXES):
        return cb(SendPhoneMessageError(f"{number} is a premium number", FRIENDLY))
    cb(None, {"to": number, "text": text})


def normalise(number, country_code):
    """'+44 (0)20 7946-0958' → '+442079460958'."""
    if number.startswith(("+", "00")):
        number = number.replace("(0)", "")  # only dialled inside the country
    compact = re.sub(r"[\s()./-]", "", number)
    if compact.startswith("+"):
        return compact
    if compact.startswith("00"):
        return f"+{compact[2:]}"
    if compact.startswith("0") and country_code:
        return f"+{country_code}{compact[1:]}"
    return f"+{compact}"
