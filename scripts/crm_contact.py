"""Make a HubSpot contact of every new user, or bring the one that is there up to date.

A contact is looked for by e-mail address first, so that a repeated run, or somebody whom sales know already, makes no
second one. Should the same address arrive twice at the same moment, the later call is told so and does nothing more.

Secrets: HUBSPOT_TOKEN, of a private app; CRM_LIST, the list that the contact joins (optional).
"""

from dataclasses import asdict, dataclass

import requests

CONTACTS = "https://api.hubapi.com/crm/v3/objects/contacts"


@dataclass
class Contact:
    email: str
    firstname: str
    wants_news: bool
    mailing_list: str


def hook(user, context, cb):
    secrets = context.webtask.secrets
    if not user.get("email"):
        console.log(f"{user.id} has no e-mail address: no contact")
        return cb()
    if not secrets.get("HUBSPOT_TOKEN"):
        return cb(Error("set the secret HUBSPOT_TOKEN"))
    contact = contact_of(user, secrets.get("CRM_LIST", "new-users"))
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {secrets.HUBSPOT_TOKEN}"
        cb(None, upsert(session, contact))


def contact_of(user, mailing_list):
    about = user.get("user_metadata") or {}
    return Contact(
        email=user.email.lower(),
        firstname=about.get("name") or user.get("username") or user.email,
        wants_news=about.get("newsletter") is True,  # only who said yes
        mailing_list=mailing_list,
    )


def upsert(session, contact):
    fields = {"properties": asdict(contact)}
    known = find(session, contact.email)
    if known:
        reply = session.patch(f"{CONTACTS}/{known}", json=fields, timeout=5)
    else:
        reply = session.post(CONTACTS, json=fields, timeout=5)
        if reply.status_code == 409:
            console.log(f"{contact.email} became a contact at the same moment")
            return {"made": False}
    reply.raise_for_status()
    return {"id": reply.json()["id"], "made": not known}


def find(session, email):
    """The id of the contact, or None."""
    equal = {"propertyName": "email", "operator": "EQ", "value": email}
    question = {"filterGroups": [{"filters": [equal]}], "limit": 1}
    reply = session.post(f"{CONTACTS}/search", json=question, timeout=5)
    reply.raise_for_status()
    results = reply.json()["results"]
    return results[0]["id"] if results else None
