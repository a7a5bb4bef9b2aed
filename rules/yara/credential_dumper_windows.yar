rule credential_dumper_windows
{
    meta:
        id = "57956601-55d7-4297-afd0-c1a45461f5d4"
        title = "Tool That Reads Windows Passwords"
        level = "critical"
        description = "A Windows program has the words of a tool that reads passwords and tickets out of memory and the registry."
        author = "metrosoc"
        date = "2026-11-22"
        attack = "T1003.001, T1003.002, T1558.003"
        tactic = "Credential Access"
        reference = "https://attack.mitre.org/techniques/T1003/001/"
        falsepositives = "Tools of an announced test; samples of a course"
    strings:
        $module1 = /\b(sekurlsa|lsadump)\b/ wide ascii nocase
        $module2 = /\b(logonpasswords|lsasrv\.dll!)/ wide ascii nocase
        $module3 = /\b(dcsync|dcshadow|skeleton key)\b/ wide ascii nocase
        $module4 = /\b(kerberoast(ing)?|asreproast|golden ticket)\b/ wide ascii nocase
        $module5 = /\b(wdigest|tspkg|livessp|credman)\b/ wide ascii nocase
        $module6 = /\bprivilege::debug\b/ wide ascii nocase
        $dump = "MiniDumpWriteDump" wide ascii
        $lsass = "lsass.exe" wide ascii nocase
        $debug = "SeDebugPrivilege" wide ascii
        $signed = "Microsoft Corporation" wide
    condition:
        uint16(0) == 0x5a4d and uint32(uint32(0x3c)) == 0x00004550 and filesize < 100MB and
        (3 of ($module*) or ($dump and $lsass and $debug and not $signed))
}
