from django.urls import path

from taskjuice.workspaces import branding_views, data_views, invitation_views, team_views, views

app_name = "workspaces"

urlpatterns = [
    path("welcome/", views.welcome, name="welcome"),
    path("welcome/address/", views.welcome_slug, name="welcome-slug"),
    path("me/", views.profile, name="profile"),
    path("invitations/<str:token>/", invitation_views.invitation, name="invitation"),
    path("invitations/<str:token>/join/", invitation_views.invitation_join, name="invitation-join"),
    path(
        "invitations/<str:token>/accept/",
        invitation_views.invitation_accept,
        name="invitation-accept",
    ),
    path("branding/logos/<slug:digest>/", branding_views.brand_logo, name="brand-logo"),
    path("branding/colours/<slug:colour>/", branding_views.brand_colour, name="brand-colour"),
    path("<slug:agency>/clients/switch/", views.client_switch, name="client-switch"),
    path("<slug:agency>/clients/new/", views.client_create, name="client-create"),
    path("<slug:agency>/clients/new/address/", views.client_slug, name="client-slug"),
    path("<slug:agency>/settings/", branding_views.agency_settings, name="agency-settings"),
    path(
        "<slug:agency>/settings/branding/", branding_views.agency_branding, name="agency-branding"
    ),
    path("<slug:agency>/team/", team_views.team, name="team"),
    path("<slug:agency>/team/invite/", team_views.invite, name="team-invite"),
    path("<slug:agency>/team/leave/", team_views.leave, name="team-leave"),
    path("<slug:agency>/team/transfer/", team_views.transfer, name="team-transfer"),
    path("<slug:agency>/team/two-step/", team_views.two_step_setting, name="team-two-step"),
    path("<slug:agency>/team/<int:membership>/role/", team_views.member_role, name="member-role"),
    path(
        "<slug:agency>/team/<int:membership>/remove/",
        team_views.member_remove,
        name="member-remove",
    ),
    path(
        "<slug:agency>/team/invitations/<int:invitation>/resend/",
        team_views.invitation_resend,
        name="invitation-resend",
    ),
    path(
        "<slug:agency>/team/invitations/<int:invitation>/revoke/",
        team_views.invitation_revoke,
        name="invitation-revoke",
    ),
    path("<slug:agency>/<slug:workspace>/team/", team_views.team, name="team"),
    path("<slug:agency>/<slug:workspace>/team/invite/", team_views.invite, name="team-invite"),
    path(
        "<slug:agency>/<slug:workspace>/team/<int:seat>/remove/",
        team_views.client_user_remove,
        name="client-user-remove",
    ),
    path("<slug:agency>/audit/", views.audit_list, name="audit-list"),
    path("<slug:agency>/audit/export/", views.audit_export, name="audit-export"),
    path("<slug:agency>/audit/<int:entry>/", views.audit_entry, name="audit-entry"),
    path("<slug:agency>/<slug:workspace>/audit/", views.audit_list, name="audit-list"),
    path("<slug:agency>/<slug:workspace>/audit/export/", views.audit_export, name="audit-export"),
    path(
        "<slug:agency>/<slug:workspace>/audit/<int:entry>/", views.audit_entry, name="audit-entry"
    ),
    path(
        "<slug:agency>/<slug:workspace>/settings/",
        views.workspace_settings,
        name="workspace-settings",
    ),
    path("<slug:agency>/settings/data/", data_views.agency_data, name="agency-data"),
    path(
        "<slug:agency>/<slug:workspace>/settings/data/",
        data_views.workspace_data,
        name="workspace-data",
    ),
    path(
        "<slug:agency>/<slug:workspace>/settings/data/export/",
        data_views.export_request,
        name="export-request",
    ),
    path(
        "<slug:agency>/<slug:workspace>/settings/data/exports/<int:export>/download/",
        data_views.export_download,
        name="export-download",
    ),
    path(
        "<slug:agency>/<slug:workspace>/settings/data/exports/<int:export>/remove/",
        data_views.export_remove,
        name="export-remove",
    ),
    path(
        "<slug:agency>/<slug:workspace>/settings/delete/",
        data_views.workspace_delete,
        name="workspace-delete",
    ),
    path("<slug:agency>/<slug:workspace>/rename/", views.workspace_rename, name="workspace-rename"),
    path(
        "<slug:agency>/<slug:workspace>/settings/time-zone/",
        views.workspace_time_zone,
        name="workspace-time-zone",
    ),
    path(
        "<slug:agency>/<slug:workspace>/archive/", views.workspace_archive, name="workspace-archive"
    ),
    path(
        "<slug:agency>/<slug:workspace>/unarchive/",
        views.workspace_unarchive,
        name="workspace-unarchive",
    ),
]
