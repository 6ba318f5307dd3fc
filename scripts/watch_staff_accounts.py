"""Log a warning when the password of a staff account changes.

A bare script: without `def hook`, the lines run from top to bottom, and `user`, `context` and `cb` are simply there.

Secret: STAFF_DOMAINS, the domains of your staff's e-mail addresses, comma-separated.
"""


def is_staff(email, domains):
    return any(email.endswith(f"@{domain}") for domain in domains)


staff_domains = [domain.strip().lower() for domain in context.webtask.secrets.STAFF_DOMAINS.split(",")]
email = (user.get("email") or "").lower()
staff = is_staff(email, staff_domains)

if staff:
    console.warn(f"staff account {email} has a new password since {user.last_password_reset}")
else:
    print("not a staff account")

cb(None, {"staff": staff})
