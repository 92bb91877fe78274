from django import forms

from xero.fields import TextField


class FilterForm(forms.Form):
    state = forms.CharField(required=False, max_length=20)
    page = forms.IntegerField(required=False, min_value=1)


class ThereForm(forms.Form):
    """`named` may stay empty for a payment: then it is the one that appeared on the invoice since."""

    named = TextField(label="Its number, name or ID in Xero", required=False, max_length=255)
