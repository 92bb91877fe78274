"""The rendering of forms."""

from django.forms.renderers import TemplatesSetting


class Renderer(TemplatesSetting):
    """A renderer with our own templates. `{{ form }}` is the whole form."""

    form_template_name = "components/form.html"
    field_template_name = "components/field.html"
