"""Announce a new user in the team's chat.

Written in the JavaScript manner, for those who bring their hooks along: `require` instead of import, and
`module.exports` names the function. Composes the message in Slack's shape; notify_slack.py sends one.

Secret: CHAT_CHANNEL, as in "#signups".
"""

html = require("html")


def announce(user, context, cb):
    channel = context.webtask.secrets.get("CHAT_CHANNEL")
    if not channel:
        return cb("set the secret CHAT_CHANNEL")
    text = f"*{safe(name_of(user))}* signed up through {safe(context.connection.name)}"
    console.log(f"to {channel}: {text}")
    cb(None, {"channel": channel, "text": text})


def name_of(user):
    return user.get("username") or user.get("email") or user.id


def safe(text):
    """People choose their names: `<!channel>` as a name must not ring every phone."""
    return html.escape(text, quote=False)


module.exports = announce
