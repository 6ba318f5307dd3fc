"""Let only people with a company e-mail address sign up.

Secret: ALLOWED_DOMAINS, comma-separated, as in "example.com, example.org".
Without the secret nobody may sign up: a forgotten setting must not open the door.
"""


def hook(user, context, cb):
    allowed = domains_in(context.webtask.secrets.get("ALLOWED_DOMAINS", ""))
    if not allowed:
        return cb(PreUserRegistrationError("the secret ALLOWED_DOMAINS is empty", "Sign-up is closed at the moment."))
    domain = domain_of(user.get("email") or "")
    if domain not in allowed:
        console.warn(f"refused a sign-up from {domain or 'nowhere'}")
        friendly = f"Please use your company address ({', '.join(sorted(allowed))})."
        return cb(PreUserRegistrationError(f"{domain or 'no domain'} is not an allowed domain", friendly))
    cb(None, {})


def domains_in(listed):
    return {domain.strip().lower() for domain in listed.split(",") if domain.strip()}


def domain_of(email):
    return email.rpartition("@")[2].lower()
