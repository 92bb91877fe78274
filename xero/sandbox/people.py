"""The people who can log in to the sandbox, and which organisations each of them may see."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5


@dataclass(frozen=True)
class Person:
    key: str
    given_name: str
    family_name: str
    email: str
    role: str

    @property
    def id(self) -> str:
        """Return the `xero_userid`."""
        return str(uuid5(NAMESPACE_URL, f"xero-sandbox:user:{self.key}"))

    @property
    def name(self) -> str:
        return f"{self.given_name} {self.family_name}"

    @property
    def may_write(self) -> bool:
        return self.role != "Read only"


PEOPLE = (
    Person(
        "mere", "Mere", "Tamihana", "mere@northwindbooks.example", "Bookkeeper, all organisations"
    ),
    Person("oliver", "Oliver", "Grant", "oliver@client.example", "Owner of one organisation"),
    Person("priya", "Priya", "Nair", "priya@auditors.example", "Read only"),
)
BY_KEY = {person.key: person for person in PEOPLE}
BY_ID = {person.id: person for person in PEOPLE}


def visible(person: Person, tenants: Sequence[str]) -> list[str]:
    """Return the organisations that a person sees.

    The bookkeeper sees all, the owner the first, the read-only adviser all others.
    """
    if person.key == "oliver":
        return list(tenants[:1])
    if person.key == "priya":
        return list(tenants[1:] or tenants)
    return list(tenants)
