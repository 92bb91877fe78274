"""Template tags and filters of the product, available in every template."""

from django import template

register = template.Library()
