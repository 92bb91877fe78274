from django.apps import AppConfig


class WorkspacesConfig(AppConfig):
    name = "taskjuice.workspaces"
    label = "workspaces"
