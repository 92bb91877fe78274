"""Advice about failed activations, by the stable code of the error.

`again` says if trying again can help, `todo` what to do first. Each code has its own cause; a code
that a step retries by itself (`on_error`) is one where another attempt may help.
"""

from dataclasses import dataclass

NEVER_WHILE_SAME = "Cannot help while the values stay the same."
NEVER_BEFORE_CHANGE = "Cannot help until the workflow is changed."
RECONNECTED = "Helps once the organisation is reconnected."


@dataclass(frozen=True, slots=True)
class Advice:
    again: str
    todo: str
    is_final: bool = True  # the step does not try it again by itself: nothing changes by waiting
    reconnects: bool = False  # reconnecting is what helps


OTHER = Advice(
    "May help.", "Replay it; if it fails the same way, look at the step’s input.", is_final=False
)
ADVICE = {
    "expression": Advice(
        NEVER_BEFORE_CHANGE,
        "Edit the field that the message names, publish, then replay on the current version.",
    ),
    "too-many": Advice(
        NEVER_BEFORE_CHANGE,
        "Give the step a shorter list, publish, then replay on the current version.",
    ),
    "input": Advice(
        NEVER_WHILE_SAME,
        "Correct the field that the message names: in the step, or in the record that its value comes from."
        " Then replay.",
    ),
    "invalid": Advice(
        NEVER_WHILE_SAME,
        "Xero refused this. Correct the record in Xero, or the step that gives these values, then replay.",
        is_final=False,  # a state at Xero may pass, so attempts that the step asks for are made
    ),
    "duplicate": Advice(
        "Cannot help while the other one is there.",
        "If it should be skipped from now on, say so on the step’s card under “Limits and approval”.",
    ),
    "guard": Advice(
        "Cannot help while the limit stays as it is.",
        "Do it by hand, or raise the limit on the step’s card, publish, and replay on the current version.",
    ),
    "limit": Advice(
        "Cannot help while the limit stays as it is.",
        "Send it to fewer addresses, or raise the e-mails a day under Settings. Then replay.",
    ),
    "not-found": Advice(
        "Helps only once the record is there.",
        "Look whether it was deleted, or belongs to another organisation.",
        is_final=False,
    ),
    "not-done": Advice(
        "May help.", "Nothing was written. Read the reason above, then replay.", is_final=False
    ),
    "busy": Advice(
        "Helps in a moment.",
        "Another write of the same record was on its way. Replay it.",
        is_final=False,
    ),
    "abandoned": Advice(
        "Does what somebody decided not to do.",
        "See who decided it on the page of the write; replay only if that was wrong.",
    ),
    "held": Advice(
        "Helps once TaskJuice was compared with Xero.",
        "Writes are held back after a restore. Somebody who runs TaskJuice compares it with Xero first.",
        is_final=False,
    ),
    "unknown-outcome": Advice(
        "May do it a second time.",
        "Look whether it was done. If not, replay the step; if it was, mark it as done: the next step follows.",
    ),
    "gave-up": Advice(
        "Helps if what was in the way has passed.", "Look at the attempts below, then replay."
    ),
    "version-gone": Advice(
        "Cannot help on this version.",
        "Publish the workflow anew and replay on the current version.",
    ),
    "unknown-action": Advice(
        "Cannot help on this version.",
        "Publish the workflow anew and replay on the current version.",
    ),
    "needs-consent": Advice(
        RECONNECTED, "Xero refuses the access. Reconnect, then replay.", reconnects=True
    ),
    "tenant-gone": Advice(
        RECONNECTED,
        "Somebody disconnected TaskJuice in Xero. Reconnect, then replay.",
        reconnects=True,
    ),
    "not-permitted": Advice(
        "Helps once somebody who may do this in Xero has reconnected.",
        "The role of the Xero user who connected the organisation does not allow it (read-only, for example)."
        " Have the role changed in Xero, or reconnect as somebody whose role allows it. Then replay.",
        reconnects=True,
    ),
    "address": Advice(
        "Cannot help while the address stays the same.",
        "Give the step another address, publish, then replay on the current version.",
    ),
    "redirect": Advice(
        "Cannot help while the address stays the same.",
        "Give the step the address that it is sent on to, publish, then replay on the current version.",
    ),
    "secret": Advice(
        "Helps once the secret value is there, for this host.",
        "Add or replace it under Settings, Secret values, then replay.",
    ),
    "credentials": Advice(
        "Cannot help while the credentials stay the same.",
        "The other service does not accept them, or they lack a right there. Replace the secret value under Settings,"
        " Secret values, then replay.",
    ),
    "refused": Advice(
        "Helps if the other service answers differently.",
        "Read what it answered; correct the step or the record, then replay.",
        is_final=False,
    ),
    "answer": Advice(
        "Helps if the other service answers differently.",
        "It answered what cannot be read here; the message says why. Have it answer with less, or with JSON,"
        " then replay.",
        is_final=False,
    ),
    "internal": Advice(
        "Helps once TaskJuice is fixed.", "This is a fault of ours. Its log has the details."
    ),
    "provider-error": OTHER,
    "try-later": Advice(
        "Helps after a while.", "Look at the attempts below, then replay.", is_final=False
    ),
}
NAMES = {  # of the causes, where failures are counted by them
    "expression": "An expression that cannot be worked out",
    "too-many": "A list that is too long",
    "input": "A value that does not fit",
    "invalid": "Refused by Xero",
    "duplicate": "Already there",
    "guard": "Over a limit of the step",
    "limit": "More e-mails than a day allows",
    "not-found": "Record not found",
    "not-done": "Nothing was written",
    "busy": "Another write was on its way",
    "abandoned": "Given up by somebody",
    "held": "Held back after a restore",
    "unknown-outcome": "Unknown whether it was done",
    "gave-up": "Given up after all attempts",
    "version-gone": "The version is gone",
    "unknown-action": "A step that is not known here",
    "needs-consent": "Access refused by Xero",
    "tenant-gone": "Disconnected in Xero",
    "not-permitted": "Not allowed in Xero",
    "address": "An address that may not be called",
    "redirect": "Sent on to another address",
    "secret": "A secret value that is missing",
    "credentials": "Credentials not accepted",
    "refused": "Refused by the other service",
    "answer": "An answer that cannot be read",
    "internal": "A fault of TaskJuice",
    "provider-error": "An error at the other service",
    "try-later": "Put off too often",
}


def name_for(code: str) -> str:
    return NAMES.get(code, code)


def advice_for(code: str) -> Advice:
    return ADVICE.get(code, OTHER)
