"""What is wrong with something a person wrote: every fault at once, each with the field it is in."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Fault:
    """`field` is a path such as `exempt[2].until`; `reason` says what was wrong and what to do, and reads after the field."""

    field: str
    reason: str


class Invalid(ValueError):
    """Something cannot be accepted as written. `faults` holds every reason, in the order of the fields; never empty."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.reason}" for fault in faults))
        self.faults = faults

    @property
    def field(self) -> str:
        return self.faults[0].field

    @property
    def reason(self) -> str:
        return self.faults[0].reason


@dataclass
class Faults:
    """Collects faults while something is read, so that a reader hears of all of them."""

    found: list[Fault] = field(default_factory=list)

    def add(self, where: str, reason: str) -> None:
        self.found.append(Fault(where, reason))

    def any_in(self, where: str) -> bool:
        return any(fault.field.startswith(where) for fault in self.found)

    def text(self, where: str, value: object, length_max: int, *, empty: bool = False) -> str:
        """The value if it is text that every warehouse can hold: right length, no NUL, no half of a surrogate pair."""
        if not isinstance(value, str):
            self.add(where, f"must be text, not {kind_of(value)}")
            return ""
        if not value and not empty:
            self.add(where, "must not be empty")
        elif len(value) > length_max:
            self.add(where, f"has {len(value)} characters; at most {length_max} are allowed")
        elif "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
            self.add(where, "holds a NUL or half of a surrogate pair, which no warehouse can store")
        return value

    def items(self, where: str, value: object, count_max: int) -> list[object]:
        """The value if it is a list of at most `count_max`; an absent one is empty."""
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            self.add(where, f"must be a list, not {kind_of(value)}")
            return []
        if len(value) > count_max:
            self.add(where, f"has {len(value)} entries; at most {count_max} are allowed")
            return []
        return list(value)


def kind_of(value: object) -> str:
    """The JSON word for what a value is."""
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean", int: "a number", float: "a number"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
