rule reverse_shell_script
{
    meta:
        id = "0705a481-e2ac-44eb-b8fb-f2e54b1f8c5b"
        title = "Script That Opens A Shell To The Outside"
        level = "high"
        description = "A script connects a shell with a machine outside, so that somebody there can type commands."
        author = "metrosoc"
        date = "2026-11-22"
        attack = "T1059.004, T1571"
        tactic = "Execution, Command and Control"
        reference = "https://attack.mitre.org/techniques/T1059/004/"
        falsepositives = "Notes and exercises of administrators and testers"
    strings:
        $bash = /\b(ba|z|da|k)?sh[ \t]{1,3}-i[ \t]{0,3}[0-9]{0,2}>?[>&]{1,2}[ \t]{0,3}\/dev\/(tcp|udp)\/[^ \t\r\n\/]{1,80}\/[0-9$]/
        $exec = /\bexec[ \t]{1,3}[0-9]{1,3}<>[ \t]{0,3}\/dev\/(tcp|udp)\/[^ \t\r\n\/]{1,80}\/[0-9$]/
        $netcat = /\b(nc|ncat|netcat)(\.exe|\.traditional)?[ \t][^\r\n;|]{0,60}(-e|-c|--exec|--sh-exec)[ \t]{1,3}["']?(\/bin\/(ba|da|z|k)?sh|(ba)?sh\b|cmd(\.exe)?\b|powershell)/
        $pipe = /\bmkfifo[ \t]{1,3}[^\r\n;|]{1,60};[^\r\n]{0,80}\|[ \t]{0,3}(\/bin\/)?(ba|da|z)?sh[ \t]{1,3}-i[^\r\n]{0,40}\|[ \t]{0,3}(nc|ncat|telnet|openssl)[ \t]/
        $python_copy = /\bdup2[ \t]{0,3}\([^)\r\n]{0,40}fileno[ \t]{0,3}\(/
        $python_shell = /\b(subprocess\.(call|run|Popen)|pty\.spawn|os\.system)[ \t]{0,3}\([ \t]{0,3}\[?["'](\/bin\/)?(ba|da|z)?sh["']/
        $php = /\bfsockopen[ \t]{0,3}\([^\r\n;]{1,80};[^\r\n]{0,120}\b(proc_open|exec|shell_exec|system|popen)[ \t]{0,3}\([ \t]{0,3}["'](\/bin\/)?(ba|da)?sh[ \t]{1,3}-i/
    condition:
        filesize < 1MB and any of ($bash, $exec, $netcat, $pipe, $php)
        or filesize < 1MB and $python_copy and $python_shell
}
