from django import forms

from xero.fields import TextField


class CallFilterForm(forms.Form):
    state = forms.CharField(required=False, max_length=20)
    page = forms.IntegerField(required=False, min_value=1)


class FoundInXeroForm(forms.Form):
    """The record in Xero that a call of unknown outcome has written.

    `named` may stay empty for a payment: then it is the one that the invoice got since the call.
    """

    named = TextField(label="Its number, name or ID in Xero", required=False, max_length=255)
