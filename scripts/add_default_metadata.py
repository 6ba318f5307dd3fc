"""Give every new user a plan and sensible preferences.

The plan follows the domain of the e-mail address and belongs to app_metadata, which people cannot change.
Preferences belong to user_metadata; what the sign-up form already sent is kept. Needs no secret.
"""

PLANS = {"example.edu": "campus", "example.org": "nonprofit"}
DEFAULT_PLAN = "free"
DEFAULT_PREFERENCES = {"theme": "light", "newsletter": False}


def hook(user, context, cb):
    preferences = DEFAULT_PREFERENCES | {"language": language_of(context)}
    app_metadata = {**(user.get("app_metadata") or {}), "plan": plan_for(user.get("email") or "")}
    user_metadata = {**preferences, **(user.get("user_metadata") or {})}
    cb(None, {"user": {"app_metadata": app_metadata, "user_metadata": user_metadata}})


def plan_for(email):
    domain = email.rpartition("@")[2].lower()
    return PLANS.get(domain, DEFAULT_PLAN)


def language_of(context):
    """'en-us' → 'en'."""
    language = context.get("renderLanguage") or context.get("requestLanguage") or "en"
    return language.split("-")[0].lower()
