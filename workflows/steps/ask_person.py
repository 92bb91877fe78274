"""Built-in action: a person decides if the activation continues."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from django import forms

from connections.integrations import Action, ActionContext, Data, Failed, Outcome, Preview
from connections.models import Connection
from taskjuice.queue import clock
from taskjuice.text_fields import LongTextField
from taskjuice.workspaces.models import Agency
from workflows.approvals import tasks as approval_tasks
from workflows.approvals.tasks import NotOnTheTeam, Question
from workflows.definition.expressions import has_expression
from workflows.models import DECIDED
from workflows.steps.send_email import AddressesField

MOST_DAYS = 90
STOP, CONTINUE = "stop", "continue"
NOT_STAFF = "Only people on your team can decide; {} is not on it."


class ApprovalForm(forms.Form):
    question = forms.CharField(
        label="What is to be decided",
        max_length=200,
        help_text="For example: Pay {{ trigger.number }}?",
    )
    details = LongTextField(
        label="What helps to decide",
        required=False,
        max_length=5_000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Amounts, names, what happens next: shown with the question.",
    )
    to = AddressesField(
        label="Told by e-mail",
        required=False,
        only_colleagues=True,
        help_text="Nobody ticked: the owner and the admins. Anybody on the team may decide.",
    )
    days = forms.IntegerField(
        label="Days to decide",
        min_value=1,
        max_value=MOST_DAYS,
        initial=7,
        help_text="If nobody has decided by then, the activation stops.",
    )
    declined = forms.ChoiceField(
        label="When it is declined",
        required=False,
        initial=STOP,
        choices=[
            (STOP, "the activation stops"),
            (CONTINUE, "go on; later steps can look at “approved”"),
        ],
    )

    def clean_question(self) -> str:
        return " ".join(self.cleaned_data["question"].split())


class AskPerson(Action):
    """An action that asks once and, when it runs again, reads the decision or that time is over."""

    key = "core/approval"
    title = "Ask a person"
    description = (
        "Makes a task for your team: the activation waits until somebody approves or declines."
    )
    form = ApprovalForm
    effects = True  # it sends e-mails
    sample: ClassVar[Data] = {
        "approved": True,
        "by": "Olivia Owner",
        "at": "2026-11-23T09:41:07+00:00",
        "comment": "Fine by me",
    }

    def run_many(self, calls: Sequence[ActionContext], rows: Sequence[Data]) -> list[Outcome]:
        questions = [_build_question(call, data) for call, data in zip(calls, rows, strict=True)]
        try:
            task_by_step = approval_tasks.ask_questions(questions)
        except NotOnTheTeam as error:
            if len(calls) > 1:  # only whose addresses are wrong shall fail
                return [
                    self.run_many([call], [row])[0] for call, row in zip(calls, rows, strict=True)
                ]
            return [Failed("input", NOT_STAFF.format(error))]
        tasks = [task_by_step[q.activation_id, q.step] for q in questions]
        goes_on = [data["declined"] == CONTINUE for data in rows]
        outcomes = [
            approval_tasks.outcome_of(task, goes_on=on)
            for task, on in zip(tasks, goes_on, strict=True)
        ]
        approval_tasks.note_taken(task for task in tasks if task.state in DECIDED)
        return outcomes

    def preview(self, call: ActionContext, data: Data) -> Preview:
        recipients = ", ".join(data["to"]) or "the owner and the admins"
        lines = [
            data["question"],
            data["details"],
            f"Told by e-mail: {recipients}. Time to decide: {data['days']} days.",
        ]
        return Preview("A task for your team", "\n\n".join(line for line in lines if line))

    def wrong_for(
        self, agency: Agency, connections: Sequence[Connection], given: Mapping[str, Any]
    ) -> Iterable[tuple[str, str]]:
        to = str(given.get("to") or "")
        if has_expression(to):
            return
        staff = approval_tasks.staff_addresses(agency)
        for address in (part.strip() for part in to.split(",")):
            if address and address.lower() not in staff:
                yield "to", NOT_STAFF.format(address)


def _build_question(call: ActionContext, data: Data) -> Question:
    assert call.activation_id is not None  # pages do not ask
    ends = clock.now() + timedelta(days=data["days"])
    return Question(
        call.activation_id, call.step, data["question"], data["details"], data["to"], ends
    )
