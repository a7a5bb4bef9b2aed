rule webshell_php_packed
{
    meta:
        id = "1f0880e7-79df-4b40-83a5-78538ea252fc"
        title = "PHP Unpacks And Runs Hidden Code"
        level = "high"
        description = "A PHP file evaluates code that is packed or encoded in it, as droppers and injected plug-ins do to hide what they are."
        author = "metrosoc"
        date = "2026-11-22"
        attack = "T1027, T1505.003"
        tactic = "Defense Evasion, Persistence"
        reference = "https://attack.mitre.org/techniques/T1027/"
        falsepositives = "Licensed extensions whose makers hide their code"
    strings:
        $open = "<?"
        $packed = /\b(eval|assert)[ \t@]{0,3}\([ \t@]{0,3}(gzinflate|gzuncompress|gzdecode|base64_decode|str_rot13|strrev|convert_uudecode|hex2bin)[ \t]{0,3}\([ \t@]{0,3}((gzinflate|base64_decode|str_rot13|strrev|hex2bin)[ \t]{0,3}\([ \t@]{0,3}){0,4}['"][A-Za-z0-9+\/=\\]{24}/ nocase
        $variable = /\b(eval|assert)[ \t@]{0,3}\([ \t@]{0,3}(gzinflate|gzuncompress|gzdecode|str_rot13|strrev)[ \t]{0,3}\([ \t@]{0,3}((gzinflate|base64_decode|str_rot13|strrev)[ \t]{0,3}\([ \t@]{0,3}){1,4}\$[a-z_]/ nocase
        $global = /\b(eval|assert)[ \t]{0,3}\([ \t]{0,3}["'](\\x[0-9a-f]{2}|\\[0-7]{3}){8}/ nocase
    condition:
        $open and any of ($packed, $variable, $global)
}
