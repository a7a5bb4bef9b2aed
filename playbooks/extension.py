"""What CACAO lacks, in one extension: inputs from an alert, risk tier, lease, undo, approval.

A file that uses it stays a valid CACAO 2.0 playbook. In `playbook_extensions`:

    EXTENSION:
      approval: 1                        people who must have seen the plan (only 1 is executed)
      inputs: {__variable__: source.ip}  where an external variable finds its value in an alert
      answers: [T1110, ...]              ATT&CK techniques or rule ids of alerts that it answers
      texts: {vi: {name: ..., description: ..., steps: {STEP-ID: ...}}}

In `step_extensions` of an action step:

    EXTENSION:
      action: nftables_block             a file in `playbooks/actions/`
      arguments: {target: "__variable__:value"}
      lease: 3600                        seconds; default: the action's own
      tier: medium                       at least the action's own
      undo: revert                       `none` says that nobody can take it back
      results: {__until__: until}        out_args from the action's outputs
"""

from typing import Any, Final

EXTENSION: Final = "extension-definition--0d5b9a52-6d0c-4c55-9b0e-7f6a3f3f9c21"
COMMAND: Final = "soc-action"
"""The command type (an open vocabulary) whose meaning stands in the step's extension."""

AUTHOR: Final = "identity--5a1f6c0e-3d0b-4a55-8d5e-0c2b7f1e9a64"

DEFINITION: Final[dict[str, Any]] = {
    "type": "extension-definition",
    "name": "metrosoc effects",
    "description": "Inputs from an alert, risk tier, lease, undo and approval of action steps.",
    "created_by": AUTHOR,
    "schema": "docs/playbooks.md",
    "version": "1.0.0",
}

PLAYBOOK_KEYS: Final = ("approval", "inputs", "answers", "texts")
STEP_KEYS: Final = ("action", "arguments", "lease", "tier", "undo", "results")
TIERS: Final = ("low", "medium", "high")
