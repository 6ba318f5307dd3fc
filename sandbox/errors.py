"""The error classes a hook has in scope without an import. A leaf: a hook may hold these classes.

Names and outcomes: AUTH0.md sections 1.1, 1.2, 1.5. Own attributes of an error travel with it to a blocking caller.
"""

from __future__ import annotations

from sandbox.naming import stands_for


class Error(Exception):
    """What a hook passes to `cb` to fail: `cb(Error("why"))`."""

    def __init__(self, message: object = "") -> None:
        super().__init__(message)
        self.message = str(message)


class InvalidScopeError(Error):
    """credentials-exchange: the token endpoint answers 400 invalid_scope."""


class InvalidRequestError(Error):
    """credentials-exchange: the token endpoint answers 400 invalid_request."""


class ServerError(Error):
    """credentials-exchange: the token endpoint answers 500 server_error."""


@stands_for("Error")
class FriendlyError(Error):
    """An error with a second text, for the person instead of the log."""

    def __init__(self, message: object = "", friendlyMessage: object = None) -> None:
        super().__init__(message)
        self.friendlyMessage = self.message if friendlyMessage is None else str(friendlyMessage)


class PreUserRegistrationError(FriendlyError):
    """pre-user-registration: refuses the sign-up."""


class SendPhoneMessageError(FriendlyError):
    """send-phone-message: the message was not sent."""


SCOPE: dict[str, type[Error]] = {
    kind.__name__: kind
    for kind in (
        Error,
        InvalidScopeError,
        InvalidRequestError,
        ServerError,
        PreUserRegistrationError,
        SendPhoneMessageError,
    )
}
for _name, _kind in SCOPE.items():
    stands_for(_name)(_kind)  # as a hook finds them: `<class 'Error'>`
