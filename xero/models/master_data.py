"""The master data of the local copy: contacts, accounts, items and tracking categories."""

from functools import cached_property

from django.db import models

from xero.models.base import Record, money_field
from xero.records.master_data import (
    AccountRecord,
    ContactRecord,
    ItemRecord,
    parse_account,
    parse_contact,
    parse_item,
)


class Contact(Record):
    """A customer or supplier. `receivable` and `payable` are outstanding, in the base currency."""

    name = models.CharField(max_length=500)
    search_key = models.TextField(blank=True)
    email = models.CharField(max_length=255, blank=True)
    status = models.CharField(max_length=20)
    is_customer = models.BooleanField(default=False)
    is_supplier = models.BooleanField(default=False)
    receivable = money_field()
    payable = money_field()
    overdue = money_field()

    class Meta:
        constraints = (models.UniqueConstraint("connection", "xero_id", name="contact_once"),)
        indexes = (
            models.Index("connection", "name", "id", name="contact_name"),
            models.Index("connection", "email", "id", name="contact_email"),
            models.Index("connection", "receivable", "id", name="contact_receivable"),
            models.Index("connection", "payable", "id", name="contact_payable"),
            models.Index("connection", "updated_utc", name="contact_updated"),
        )

    def __str__(self) -> str:
        return self.name

    @cached_property
    def record(self) -> ContactRecord:
        return parse_contact(self.body)


class Account(Record):
    """An account of the chart. Its `status` is DELETED once Xero lists it no longer."""

    code = models.CharField(max_length=20, blank=True)
    name = models.CharField(max_length=255)
    search_key = models.TextField(blank=True)
    type = models.CharField(max_length=30, blank=True)
    # ASSET, EQUITY, EXPENSE, LIABILITY, REVENUE
    class_name = models.CharField(max_length=20, blank=True)
    status = models.CharField(max_length=20)
    tax_type = models.CharField(max_length=50, blank=True)
    currency = models.CharField(max_length=10, blank=True)
    takes_payments = models.BooleanField(default=False)  # a bank account, or enabled for payments

    class Meta:
        constraints = (models.UniqueConstraint("connection", "xero_id", name="account_once"),)
        indexes = (models.Index("connection", "code", name="account_code"),)

    def __str__(self) -> str:
        return f"{self.code} {self.name}".strip()

    @cached_property
    def record(self) -> AccountRecord:
        return parse_account(self.body)


class Item(Record):
    """A product or service. Its `status` is DELETED once Xero lists it no longer."""

    code = models.CharField(max_length=100)
    name = models.CharField(max_length=255, blank=True)
    search_key = models.TextField(blank=True)
    status = models.CharField(max_length=20, default="ACTIVE")
    is_sold = models.BooleanField(default=False)
    is_purchased = models.BooleanField(default=False)
    is_tracked = models.BooleanField(default=False)
    sale_price = models.DecimalField(max_digits=19, decimal_places=4, null=True)
    purchase_price = models.DecimalField(max_digits=19, decimal_places=4, null=True)
    quantity = models.DecimalField(max_digits=19, decimal_places=4, null=True)

    class Meta:
        constraints = (models.UniqueConstraint("connection", "xero_id", name="item_once"),)
        indexes = (models.Index("connection", "code", name="item_code"),)

    def __str__(self) -> str:
        return self.code

    @cached_property
    def record(self) -> ItemRecord:
        return parse_item(self.body)


class TrackingCategory(Record):
    """A category that lines are tracked by, such as Region; an organisation has at most two active
    ones.

    `options`: [{"name", "status"}]. Its `status` is DELETED once Xero lists it no longer.
    """

    name = models.CharField(max_length=100)
    status = models.CharField(max_length=20)
    options = models.JSONField(default=list)

    class Meta:
        verbose_name_plural = "tracking categories"
        constraints = (
            models.UniqueConstraint("connection", "xero_id", name="tracking_category_once"),
        )

    def __str__(self) -> str:
        return self.name
