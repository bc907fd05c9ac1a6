"""Filing's types in Lily's words. A screen takes a type without its length, so columns of all lengths share one."""

import re

from lily.domain.inventory import DataType, Family

FAMILIES = {"text": Family.TEXT, "whole": Family.INTEGER, "real": Family.FLOAT, "day": Family.DATE}


def data_type(text: str) -> DataType:
    """Types that are not known, blob among them, are OTHER."""
    match = re.fullmatch(r"(\w+)(?:\(([0-9]+)\))?", text)
    family = FAMILIES.get(match[1], Family.OTHER) if match else Family.OTHER
    if not match or family is Family.OTHER:
        return DataType(Family.OTHER, text, text)
    return DataType(family, text, match[1], length=int(match[2]) if match[2] else None)
