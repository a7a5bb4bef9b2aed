rule pdf_starts_program
{
    meta:
        id = "886df2f1-9465-40f0-a7bb-9f7613501e19"
        title = "PDF That Starts A Program"
        level = "high"
        description = "A PDF document has an action that starts a program or a script."
        author = "metrosoc"
        date = "2026-11-22"
        attack = "T1204.002"
        tactic = "Execution"
        reference = "https://attack.mitre.org/techniques/T1204/002/"
        falsepositives = "Catalogues on CD that start their own viewer"
    strings:
        $head = "%PDF-"
        $launch = /\/S[ \t\r\n]{0,4}\/Launch\b/
        $program = /\/(F|P|D)[ \t\r\n]{0,4}\([^)\r\n]{0,160}(cmd|powershell|mshta|wscript|cscript|rundll32|\.(exe|bat|cmd|vbs|js|hta|scr|lnk|ps1))\b/ nocase
    condition:
        $head in (0..1024) and $launch and $program
}
