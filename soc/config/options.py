"""The base of every section's model. Imports pydantic: only models and their users import it."""

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """A section of the configuration: unknown keys are mistakes, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
