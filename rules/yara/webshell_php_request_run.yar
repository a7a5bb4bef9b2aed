rule webshell_php_request_run
{
    meta:
        id = "8f68d7c6-3c96-4e35-a0d9-b4bb2f7676a2"
        title = "PHP Runs What The Request Says"
        level = "critical"
        description = "A PHP file evaluates or executes what comes in the request: whoever knows its address commands the web server."
        author = "metrosoc"
        date = "2026-11-22"
        attack = "T1505.003, T1059.004"
        tactic = "Persistence, Execution"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
        falsepositives = "A teaching example; a maintenance console that somebody left behind"
    strings:
        $open = "<?"
        $direct = /\b(eval|assert|system|exec|shell_exec|passthru|popen|proc_open|pcntl_exec|create_function)[ \t]{0,4}\([ \t@(]{0,4}((base64_decode|stripslashes|trim|urldecode|str_rot13)[ \t]{0,4}\([ \t@]{0,4})?\$_(GET|POST|REQUEST|COOKIE)[ \t]{0,2}[\[{]/ nocase
        $header = /\b(eval|assert|system|exec|shell_exec|passthru)[ \t]{0,4}\([ \t@(]{0,4}((base64_decode|urldecode)[ \t]{0,4}\([ \t@]{0,4})?\$_SERVER\[['"]HTTP_/ nocase
        $callback = /\b(call_user_func|call_user_func_array|array_map|array_filter|usort|register_shutdown_function)[ \t]{0,4}\([ \t@]{0,4}\$_(GET|POST|REQUEST|COOKIE)[ \t]{0,2}[\[{]/ nocase
        $called = /\$_(GET|POST|REQUEST|COOKIE)\[[^\]\n]{1,40}\][ \t]{0,4}\([ \t@]{0,4}\$_(GET|POST|REQUEST|COOKIE)\b/
        $backtick = /`[^`\n]{0,40}\$_(GET|POST|REQUEST|COOKIE)\b/
    condition:
        $open and any of ($direct, $header, $callback, $called, $backtick)
}
