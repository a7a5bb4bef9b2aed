"""`[directory]`: where accounts are, and as whom they are read and locked."""

from playbooks.ports.ldap import LdapOptions

OPTIONS = LdapOptions | None
