"""metrosoc: a city's security operations toolkit."""

__version__ = "0.1.0"
