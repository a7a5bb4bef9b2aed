"""pySigma's Lucene queries find the events that our engine finds; where not is listed, with why.

The events come into the server through our store, the queries of every rule go past it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from sigma.exceptions import SigmaFeatureNotSupportedByBackendError

from detectors.sigma.engine import Engine
from tests.conformance.test_sigmahq_regression import pipelines
from tests.elastic.cluster import Cluster
from tests.elastic.lucene import query, recorded, served, written

pytestmark = [pytest.mark.elastic, pytest.mark.slow]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
BIG = 30_000
"""Characters of a query; longer ones ask a field for a thousand infixes."""
PAGE = 25
PARTS = 4
"""An infix is looked for in all values of a field: a quarter of both is a sixteenth of the work."""

NOT_ASKED = {
    "the backend knows no fieldref": """
        file_delete_win_delete_own_image proc_creation_win_susp_cross_user_process_spawn
        proc_creation_win_susp_parent_execute_itself
        win_security_explicit_credential_local_logon""",
    "a thousand infixes in a query are more than the test's server has memory for (1 GB)": """
        driver_load_win_mal_drivers driver_load_win_vuln_drivers
        proc_creation_lnx_mal_shai_hulud_malicious_npm_package_installation
        proc_creation_win_mal_shai_hulud_malicious_npm_package_installation""",
}
REFUSED = {
    "the backend leaves signs plain that Lucene's regular expressions reserve: quotes, <, (?:": """
        posh_pm_invoke_obfuscation_stdin posh_pm_invoke_obfuscation_var
        posh_pm_invoke_obfuscation_via_stdin posh_pm_invoke_obfuscation_via_var
        posh_ps_invoke_obfuscation_stdin posh_ps_invoke_obfuscation_var
        posh_ps_invoke_obfuscation_via_stdin posh_ps_invoke_obfuscation_via_var
        proc_creation_win_hktl_invoke_obfuscation_var
        proc_creation_win_hktl_invoke_obfuscation_via_stdin
        proc_creation_win_powershell_run_script_from_input_stream""",
    "the backend hands on escapes that Lucene's regular expressions lack: \\b, \\n, \\\\/": """
        proc_creation_win_susp_lnk_exec_hidden_cmd proc_creation_win_susp_obfuscated_ip_download
        proc_creation_win_susp_obfuscated_ip_via_cli
        proc_creation_win_wsl_windows_binaries_execution""",
    "the regular expression is too much work for the server": """
        posh_ps_copy_item_system_directory posh_ps_registry_reconnaissance
        proc_creation_win_hktl_wsass""",
    "the field is a number to us: no wildcards in it": "web_cve_2022_27925_exploit",
}
DIFFERENT = {
    "Sigma's regex is true of a part of the value, Lucene's of the whole one": """
        proc_creation_lnx_susp_curl_fileupload proc_creation_win_curl_custom_user_agent
        proc_creation_win_curl_download_direct_ip_exec
        proc_creation_win_curl_download_direct_ip_susp_extensions
        proc_creation_win_curl_insecure_connection proc_creation_win_curl_ntlm_hash_leak_attempt
        proc_creation_win_hktl_invoke_obfuscation_obfuscated_iex_commandline""",
    "pySigma takes a dash for a flag only at the start of a word, the specification every dash": """
        proc_creation_win_cmd_launched_with_hidden_start_flag""",
    "an address of winlog.event_data is text to us: no network contains it": """
        win_security_successful_external_remote_rdp_login
        win_security_successful_external_remote_smb_login""",
    "a keyword of several words, or with signs, is looked for inside of single words": """
        lnx_apt_equationgroup_lnx lnx_auth_exploit_cve_2021_4034_pwnkit_lpe lnx_buffer_overflows
        lnx_clear_syslog lnx_exploit_cve_2022_27999_cve_2022_27800 lnx_file_copy
        lnx_guacamole_susp_guacamole lnx_ldso_preload_injection lnx_privileged_user_creation
        lnx_shell_clear_cmd_history lnx_shell_susp_commands lnx_shell_susp_log_entries
        lnx_shell_susp_rev_shells lnx_shellshock lnx_sshd_exploit_cve_2018_15473
        lnx_sshd_exploit_cve_2023_2283_libssh_authentication_bypass lnx_sshd_susp_ssh
        lnx_susp_dev_tcp lnx_susp_jexboss lnx_symlink_etc_passwd
        lnx_syslog_security_tools_disabling_syslog lnx_syslog_susp_named
        lnx_vsftpd_susp_error_messages proc_creation_win_malware_notpetya
        proxy_exploit_cve_2023_1389_unauth_command_injection_tplink_archer_ax21
        sysmon_config_modification_status web_apache_segfault web_apache_threading_error
        web_cve_2021_44228_log4j web_cve_2023_27997_pre_authentication_rce
        web_cve_2023_46747_f5_remote_code_execution web_exploit_cve_2024_1212_
        web_java_payload_in_access_logs web_jndi_exploit web_nginx_core_dump
        web_source_code_enumeration web_sql_injection_in_access_logs web_ssti_in_access_logs
        web_win_webshells_in_access_logs web_xss_in_access_logs win_alert_mimikatz_keywords
        win_av_relevant_match win_exchange_proxylogon_oabvirtualdir
        win_exchange_proxyshell_certificate_generation win_exchange_proxyshell_mailbox_export
        win_exchange_proxyshell_remove_mailbox_export
        win_exchange_set_oabvirtualdirectory_externalurl win_exchange_transportagent
        win_exploit_cve_2021_1675_printspooler win_exploit_cve_2021_1675_printspooler_operational
        win_security_exploit_cve_2024_37085_esxi_admins_group win_vul_cve_2020_0688""",
}


def part(number: int) -> set[str]:
    """A part of the rules, those with neighbouring names."""
    every = sorted(served())
    size = -(-len(every) // PARTS)
    return set(every[number * size : (number + 1) * size])


def names(table: dict[str, str]) -> set[str]:
    return {name for text in table.values() for name in text.split()}


@dataclass
class Outcome:
    """What came of the rules of the corpus."""

    not_asked: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    equal: set[str] = field(default_factory=set)
    different: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)
    fired: set[str] = field(default_factory=set)


def queries(rules: set[str], outcome: Outcome) -> dict[str, str]:
    found = {}
    for name in sorted(rules):
        try:
            asked = query(served()[name])
        except SigmaFeatureNotSupportedByBackendError:
            asked = ""
        if 0 < len(asked) < BIG:
            found[name] = asked
        else:
            outcome.not_asked.add(name)
    return found


def answers(
    cluster: Cluster, index: str, asked: dict[str, str]
) -> Iterator[tuple[str, set[str] | None]]:
    """Yield what the server finds for each query, None where it refuses the query."""
    pairs = list(asked.items())
    for start in range(0, len(pairs), PAGE):
        page = pairs[start : start + PAGE]
        lines: list[object] = []
        for _, text in page:
            string = {"query": text, "analyze_wildcard": True}
            lines += [{"index": index}]
            lines += [{"size": 10_000, "_source": False, "query": {"query_string": string}}]
        body = "".join(json.dumps(line) + "\n" for line in lines).encode()
        answer = cluster.ask("POST", "/_msearch?max_concurrent_searches=1", body)
        for (name, _), one in zip(page, answer["responses"], strict=True):
            if "error" in one:
                assert one["status"] == 400, one
                yield name, None
            else:
                yield name, {hit["_id"] for hit in one["hits"]["hits"]}


def compared(cluster: Cluster, place: str, rules: set[str]) -> Outcome:
    """Ask the engine and the server about these rules over the same events."""
    events = [*recorded(), *written(rules)]
    store = cluster.store(place)
    verdicts = store.append(events, now=NOON)
    assert {one.outcome for one in verdicts} == {"created"}
    store.close()
    index = f"logs-soc.*-{place}"
    cluster.ask("POST", f"/{index}/_refresh")
    ours: dict[str, set[str]] = {served()[name].id: set() for name in rules}
    engine = Engine([served()[name] for name in sorted(rules)], pipelines())
    for event in events:
        for finding in engine.evaluate(event):
            ours[finding.rule.id].add(event["event.id"])
    outcome = Outcome()
    for name, found in answers(cluster, index, queries(rules, outcome)):
        mine = ours[served()[name].id]
        if found is None:
            outcome.refused.add(name)
        elif found == mine:
            outcome.equal.add(name)
        else:
            outcome.different[name] = (sorted(mine - found), sorted(found - mine))
        if found is not None and mine:
            outcome.fired.add(name)
    return outcome


@pytest.mark.parametrize("number", range(PARTS))
def test_the_same_events_are_found(cluster: Cluster, place: str, number: int) -> None:
    rules = part(number)
    outcome = compared(cluster, place, rules)
    print(
        f"{len(rules)} rules: {len(outcome.equal)} equal ({len(outcome.equal & outcome.fired)} of"
        f" them fire), {len(outcome.different)} differ, {len(outcome.refused)} are refused,"
        f" {len(outcome.not_asked)} are not asked"
    )
    assert outcome.not_asked == names(NOT_ASKED) & rules
    assert outcome.refused == names(REFUSED) & rules
    listed = names(DIFFERENT) & rules
    unlisted = {name: one for name, one in outcome.different.items() if name not in listed}
    assert unlisted == {}
    assert listed - outcome.different.keys() == set(), "these are equal now"
    assert len(outcome.fired) > 0.9 * len(rules)


def test_what_is_listed_are_rules() -> None:
    listed = [*names(NOT_ASKED), *names(REFUSED), *names(DIFFERENT)]
    assert len(set(listed)) == len(listed)
    assert set(listed) <= served().keys()
    assert set().union(*map(part, range(PARTS))) == served().keys()
