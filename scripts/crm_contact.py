"""Make a CRM contact of every new user.

The contact's id is made of tenant and user id (uuid5), so that a repeated run updates the contact instead of
making a second one. Sending it waits for HTTP in hooks; until then the contact is what the hook answers.

Secret: CRM_LIST, the list that the contact joins (optional).
"""

from dataclasses import asdict, dataclass
from uuid import NAMESPACE_URL, uuid5


@dataclass
class Contact:
    id: str
    email: str
    name: str
    wants_news: bool
    mailing_list: str


def hook(user, context, cb):
    if not user.get("email"):
        console.log(f"{user.id} has no e-mail address: no contact")
        return cb()
    about = user.get("user_metadata") or {}
    contact = Contact(
        id=contact_id(context.connection.tenant, user.id),
        email=user.email.lower(),
        name=about.get("name") or user.get("username") or user.email,
        wants_news=about.get("newsletter") is True,  # only who said yes
        mailing_list=context.webtask.secrets.get("CRM_LIST", "new-users"),
    )
    cb(None, asdict(contact))


def contact_id(tenant, user_id):
    return str(uuid5(NAMESPACE_URL, f"https://{tenant}.example.com/users/{user_id}"))
