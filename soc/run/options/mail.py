"""`[mail]`: the server that takes messages for people."""

from playbooks.ports.smtp import MailOptions

OPTIONS = MailOptions | None
