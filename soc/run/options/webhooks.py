"""`[[webhooks]]`: addresses to which messages are posted."""

from playbooks.ports.webhook import WebhookOptions

OPTIONS = list[WebhookOptions]
