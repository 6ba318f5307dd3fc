"""Make a HubSpot contact of every new user, or bring the one that is there up to date.

A contact is looked for by e-mail address first, so that a repeated run, or somebody whom sales know already, makes no
second one. Should somebody else make it at the same moment, it is looked for again and brought up to date. Only what
the user said is sent: a contact keeps whatever else sales know. `wants_news` and `mailing_list` are properties of your
own: make them in HubSpot first.

Secrets: HUBSPOT_TOKEN, of a private app; CRM_LIST, the list that the contact joins (optional).
"""

import requests

CONTACTS = "https://api.hubapi.com/crm/v3/objects/contacts"
TIMEOUT = 4  # seconds


def hook(user, context, cb):
    secrets = context.webtask.secrets
    if not user.get("email"):
        console.log(f"{user.id} has no e-mail address: no contact")
        return cb()
    if not secrets.get("HUBSPOT_TOKEN"):
        return cb(Error("set the secret HUBSPOT_TOKEN"))
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {secrets.HUBSPOT_TOKEN}"
        try:
            done = upsert(session, properties_of(user, secrets.get("CRM_LIST")))
        except (requests.Timeout, requests.ConnectionError) as error:
            return cb(Error(f"no answer from HubSpot: {error}"))
    cb(None, done)


def properties_of(user, mailing_list):
    """What the user said of themselves, and the list."""
    about = user.get("user_metadata") or {}
    said = {"email": user.email.lower()}
    if about.get("name"):
        said["firstname"] = about["name"]
    if isinstance(about.get("newsletter"), bool):
        said["wants_news"] = about["newsletter"]
    if mailing_list:
        said["mailing_list"] = mailing_list
    return said


def upsert(session, properties):
    known = find(session, properties["email"])
    if not known:
        reply = session.post(CONTACTS, json={"properties": properties}, timeout=TIMEOUT)
        if reply.status_code != 409:
            reply.raise_for_status()
            return {"id": reply.json()["id"], "made": True}
        known = find(session, properties["email"])
        if not known:  # the search is a little behind
            reply.raise_for_status()
    reply = session.patch(f"{CONTACTS}/{known}", json={"properties": properties}, timeout=TIMEOUT)
    reply.raise_for_status()
    return {"id": known, "made": False}


def find(session, email):
    """The id of the contact, or None."""
    equal = {"propertyName": "email", "operator": "EQ", "value": email}
    question = {"filterGroups": [{"filters": [equal]}], "limit": 1}
    reply = session.post(f"{CONTACTS}/search", json=question, timeout=TIMEOUT)
    reply.raise_for_status()
    results = reply.json()["results"]
    return results[0]["id"] if results else None
