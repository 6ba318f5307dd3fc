"""Refuse sign-ups with a disposable e-mail address.

Secret: DISPOSABLE_DOMAINS, further domains to refuse, comma-separated (optional).
"""

DISPOSABLE = {"10minutemail.com", "guerrillamail.com", "mailinator.com", "temp-mail.org", "yopmail.com"}
FRIENDLY = "Please sign up with an address that you will keep."


def hook(user, context, cb):
    if not user.get("email"):
        return cb(None, {})  # signed up by phone: there is no address to look at
    domain = domain_of(user.email)
    if is_disposable(domain, DISPOSABLE | further_domains(context.webtask.secrets)):
        return cb(PreUserRegistrationError(f"{domain} is a disposable e-mail domain", FRIENDLY))
    cb(None, {})


def domain_of(email):
    return email.rpartition("@")[2].lower()


def further_domains(secrets):
    listed = secrets.get("DISPOSABLE_DOMAINS", "").split(",")
    return {domain.strip().lower() for domain in listed if domain.strip()}


def is_disposable(domain, refused):
    """Subdomains count too: mail.yopmail.com is yopmail.com."""
    return any(domain == bad or domain.endswith(f".{bad}") for bad in refused)
