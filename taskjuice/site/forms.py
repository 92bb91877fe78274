"""How forms are rendered."""

from django.forms.renderers import TemplatesSetting


class Renderer(TemplatesSetting):
    """Form templates come from templates/, like everything a person reads. `{{ form }}` is the
    whole form.
    """

    form_template_name = "components/form.html"
    field_template_name = "components/field.html"
