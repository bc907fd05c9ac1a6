"""The only two ways in which the outside fails; anything else that is raised is a bug of Lily's."""


class Transient(Exception):
    """Trying again later may help: a timeout, a refused connection, a 429, a 5xx.

    `retry_after_s` is what the other side asked for. It is a floor for the next attempt, never a ceiling. `status` is the HTTP
    status with which it answered, if it did.
    """

    def __init__(self, reason: str, retry_after_s: float | None = None, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.status = status


class Permanent(Exception):
    """Trying again cannot help. `reason` is for the person who has to act, so it names the thing and the remedy.

    `status` is the HTTP status with which the other side refused, if it was one.
    """

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
