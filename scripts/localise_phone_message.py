"""Write the one-time code in the language of the person, and so that it can be read aloud.

A language we have no text for, and the "N/A" of older login pages, becomes English. Sending the message waits
for HTTP in hooks; until then the hook answers with what it would send. Needs no secret.
"""

TEXTS = {
    "de": "{code} ist Ihr Code für {application}. Geben Sie ihn niemandem weiter.",
    "en": "{code} is your code for {application}. Do not share it with anyone.",
    "es": "{code} es su código para {application}. No lo comparta con nadie.",
    "ja": "{application}の認証コードは{code}です。誰にも教えないでください。",
}


def hook(recipient, text, context, cb):
    language = known_language(context.language)
    code = spoken(context.code) if context.message_type == "voice" else context.code
    message = TEXTS[language].format(code=code, application=application_name(context))
    cb(None, {"to": recipient, "language": language, "text": message})


def known_language(tag):
    """'de-AT' → 'de'."""
    language = tag.split("-")[0].lower()
    return language if language in TEXTS else "en"


def spoken(code):
    """'123' → '1, 2, 3': a voice reads digits, not a number."""
    return ", ".join(code)


def application_name(context):
    client = context.get("client") or {}
    return client.get("name", "your account")
