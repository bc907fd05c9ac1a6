"""How the metastore refuses: a status, a code and a text.

Codes: `AtlasErrorCode` of the vendor's public metastore. Where it is not known which code applies, the general one of its status.
"""

from typing import Any


class Refused(Exception):
    """The answer to a request that is not done; nothing of it has happened."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.body: dict[str, Any] = {"errorCode": code, "errorMessage": text}


def bad(text: str) -> Refused:
    return Refused(400, "ATLAS-400-00-029", text)


def unknown_guid(guid: str) -> Refused:
    return Refused(404, "ATLAS-404-00-005", f"Given instance guid {guid} is invalid/not found")


def unknown_name(type_name: str, qualified_name: str) -> Refused:
    text = f"Instance {type_name} with unique attribute {{qualifiedName={qualified_name}}} does not exist"
    return Refused(404, "ATLAS-404-00-009", text)


def unknown_type(name: str) -> Refused:
    return Refused(404, "ATLAS-404-00-001", f"Given typename {name} was invalid")


def unknown_tag(name: str) -> Refused:
    return Refused(404, "ATLAS-404-00-008", f"Given classification {name} was invalid")


def not_tagged(name: str) -> Refused:
    return Refused(400, "ATLAS-400-00-06D", f"Given classification {name} is not associated with entity")


def not_allowed(who: str, what: str) -> Refused:
    return Refused(403, "ATLAS-403-00-001", f"{who} is not authorized to perform {what}")
