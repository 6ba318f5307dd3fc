"""Refuse a password that is short, well known, or made of the person's own name.

The person reads everything that is wrong at once. The password itself is never logged. Needs no secret.
"""

SHORTEST = 10
WELL_KNOWN = {"1234567890", "iloveyou123", "letmein123", "password12", "password123", "qwertyuiop"}


def hook(user, context, cb):
    if not user.get("password"):
        return cb(None, {})  # passwordless
    problems = weaknesses(user.password.lower(), names_of(user))
    if problems:
        return cb(PreUserRegistrationError("weak password", f"Your password {' and '.join(problems)}."))
    cb(None, {})


def weaknesses(password, names):
    problems = []
    if len(password) < SHORTEST:
        problems.append(f"is shorter than {SHORTEST} characters")
    if password in WELL_KNOWN:
        problems.append("is one of the most common ones")
    if any(name in password for name in names):
        problems.append("contains your name")
    return problems


def names_of(user):
    """User name and the part of the address before the @; names of one or two letters would be everywhere."""
    names = [user.get("username") or "", (user.get("email") or "").partition("@")[0]]
    return [name.lower() for name in names if len(name) > 2]
