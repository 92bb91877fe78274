"""The people of the demo, made once: the agency Northwind Books with its owner and its first
client.

Run in a process of its own, `python -m taskjuice.demo.people`, since it needs Django.
"""

import os

import django


def main() -> None:
    django.setup()
    from allauth.account.models import EmailAddress  # models are there after the set-up

    from taskjuice.demo.place import AGENCY, CLIENT, OWNER_EMAIL
    from taskjuice.workspaces import lifecycle
    from taskjuice.workspaces.models import User

    if User.objects.filter(email=OWNER_EMAIL).exists():
        return
    owner = User.objects.create_user(
        OWNER_EMAIL, os.environ["OWNER_PASSWORD"], name="Olivia Northwind"
    )
    EmailAddress.objects.create(user=owner, email=owner.email, verified=True, primary=True)
    lifecycle.found_agency(
        agency_name=AGENCY.name, agency_slug=AGENCY.slug, client_name=CLIENT.name, by=owner
    )


if __name__ == "__main__":
    main()
