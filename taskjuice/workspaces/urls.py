from django.urls import path

from taskjuice.workspaces import views

app_name = "workspaces"

urlpatterns = [
    path("welcome/", views.welcome, name="welcome"),
    path("welcome/address/", views.welcome_slug, name="welcome-slug"),
    path("me/", views.profile, name="profile"),
    path("<slug:agency>/clients/switch/", views.client_switch, name="client-switch"),
    path("<slug:agency>/clients/new/", views.client_create, name="client-create"),
    path("<slug:agency>/clients/new/address/", views.client_slug, name="client-slug"),
    path("<slug:agency>/settings/", views.agency_settings, name="agency-settings"),
    path("<slug:agency>/audit/", views.audit_list, name="audit-list"),
    path("<slug:agency>/audit/export/", views.audit_export, name="audit-export"),
    path("<slug:agency>/<slug:workspace>/audit/", views.audit_list, name="audit-list"),
    path("<slug:agency>/<slug:workspace>/audit/export/", views.audit_export, name="audit-export"),
    path("<slug:agency>/<slug:workspace>/settings/", views.workspace_settings, name="workspace-settings"),
    path("<slug:agency>/<slug:workspace>/rename/", views.workspace_rename, name="workspace-rename"),
    path("<slug:agency>/<slug:workspace>/archive/", views.workspace_archive, name="workspace-archive"),
    path("<slug:agency>/<slug:workspace>/unarchive/", views.workspace_unarchive, name="workspace-unarchive"),
]
