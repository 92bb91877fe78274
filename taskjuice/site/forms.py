"""How forms are rendered."""

from django.forms.renderers import TemplatesSetting


class Renderer(TemplatesSetting):
    """Form templates come from templates/, like everything a person reads."""
