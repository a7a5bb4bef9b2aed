rule lnk_runs_script
{
    meta:
        id = "fd891d13-ca06-494f-a370-4eb8c68ef46a"
        title = "Shortcut That Runs A Script"
        level = "high"
        description = "A Windows shortcut starts a script interpreter with options that hide it, fetch something or skip its protection."
        author = "metrosoc"
        date = "2026-11-22"
        attack = "T1204.002, T1059.001"
        tactic = "Execution"
        reference = "https://attack.mitre.org/techniques/T1204/002/"
        falsepositives = "Shortcuts of an administrator"
    strings:
        $interpreter = /\b(powershell|pwsh|mshta|cmd\.exe|wscript|cscript|rundll32)/ wide ascii nocase
        $encoded = /[ \t](-e|-enc|-encodedcommand|\/e|\/enc) {1,3}[A-Za-z0-9+\/=]{16}/ wide ascii nocase
        $hidden = /-w(in|indowstyle)? (hidden|h|1)\b/ wide ascii nocase
        $bypass = /[\-\/]e(p|x|xec|xecutionpolicy)[ \t]{1,4}bypass\b/ wide ascii nocase
        $fetch = /\b(iex|invoke-expression|downloadstring|downloadfile|invoke-webrequest|iwr|frombase64string|bitsadmin|certutil)\b/ wide ascii nocase
        $address = /\bhttps?:\/\/[a-z0-9]/ wide ascii nocase
        $script = /\b(javascript|vbscript):/ wide ascii nocase
    condition:
        uint32(0) == 0x0000004c and uint32(4) == 0x00021401 and filesize < 20MB and
        $interpreter and 2 of ($encoded, $hidden, $bypass, $fetch, $address, $script)
}
