"""Keep a record of every new user for the audit log, without the personal data in it.

The record is logged as one line of JSON. E-mail address and phone number are masked: enough is left to recognise
an account that you know, not enough to write to it. Needs no secret.
"""

import json


def hook(user, context, cb):
    record = {
        "event": "user.registered",
        "user_id": user.id,
        "connection": context.connection.name,
        "email": mask_email(user.get("email")),
        "phone": mask_phone(user.get("phoneNumber")),
        "metadata_fields": sorted(user.get("user_metadata") or {}),  # names only, no values
    }
    console.log(json.dumps(record))
    cb(None, record)


def mask_email(email):
    """'user1@foo.com' → 'u***@foo.com'."""
    if not email:
        return None
    name, at, domain = email.rpartition("@")
    return f"{name[:1]}***{at}{domain}"


def mask_phone(number):
    """'1-000-000-1234' → '***1234'."""
    if not number:
        return None
    digits = [character for character in number if character.isdigit()]
    return "***" + "".join(digits[-4:])
