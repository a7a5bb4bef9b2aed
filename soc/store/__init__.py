"""Where events, alerts and the state of the workers live: one protocol, several stores."""
