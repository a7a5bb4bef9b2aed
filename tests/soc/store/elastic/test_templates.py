"""A mapping has one version: who changes it raises the version, so that `migrate` brings it in."""

import hashlib
import json
from typing import Any

from soc.store.elastic.fields import late, mapping
from soc.store.elastic.templates import VERSION, component

DIGESTS = {
    1: "76e075c09ae83ca9206434632ae665791d795804aa4f1f71323d83ed3ed08d49",
    2: "c815f71d6a74ed985661f2a7d3be012d06afcf7174bf11739389a283a340a690",
}
"""Of the properties of each version, as it was published. A new version gets a new line."""


def digest(properties: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(properties, sort_keys=True).encode()).hexdigest()


def of_version_1() -> dict[str, Any]:
    """The template that version 1 wrote: without what pipelines and rules name besides."""
    template: dict[str, Any] = component()["template"]
    root = template["mappings"]["properties"]
    for name in late():
        *parents, leaf = name.split(".")
        node = root
        for parent in parents:
            node = node[parent]["properties"]
        del node[leaf]
    del root["suricata"]
    for group in ("dll", "file", "process"):
        del root[group]["properties"]["pe"]
    del template["settings"]["index"]["query.default_field"]
    template["mappings"]["_meta"]["metrosoc"] = 1
    return template


def test_a_changed_mapping_has_a_new_version() -> None:
    assert max(DIGESTS) == VERSION
    assert digest(mapping()) == DIGESTS[VERSION]


def test_version_1_is_what_it_was() -> None:
    assert digest(of_version_1()["mappings"]["properties"]) == DIGESTS[1]
