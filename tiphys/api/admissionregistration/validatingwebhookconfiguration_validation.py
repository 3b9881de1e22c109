"""The webhooks of a ValidatingWebhookConfiguration."""

from tiphys.api.admissionregistration.webhook_validation import validate, validate_update

__all__ = ["validate", "validate_update"]
