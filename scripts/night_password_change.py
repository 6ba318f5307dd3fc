"""Warn the security team when a password changes at night.

Night is from 22:00 to 6:00 where the team works. The warning is logged; notify_slack.py shows how to send one.

Secret: TIME_ZONE, as in "Europe/Vienna" (UTC when it is not set).
"""

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

NIGHT_BEGINS = 22
NIGHT_ENDS = 6


def hook(user, context, cb):
    name = context.webtask.secrets.get("TIME_ZONE", "UTC")
    try:
        zone = ZoneInfo(name)
    except ZoneInfoNotFoundError:
        return cb(Error(f"the secret TIME_ZONE is {name!r}; a time zone is written like 'Europe/Vienna'"))
    changed = datetime.fromisoformat(user.last_password_reset).astimezone(zone)
    if is_night(changed):
        console.warn(f"password of {user.email} changed at night: {changed:%Y-%m-%d %H:%M %Z}")
    cb(None, {"local_time": changed.isoformat(timespec="seconds"), "night": is_night(changed)})


def is_night(moment):
    return moment.hour >= NIGHT_BEGINS or moment.hour < NIGHT_ENDS
