rule webshell_image_with_php
{
    meta:
        id = "8febac38-1bf4-46f1-b6d7-1e31ea35f089"
        title = "Picture With PHP Code In It"
        level = "high"
        description = "A file begins as a picture and has PHP code in it, to pass an upload form and be run later."
        author = "metrosoc"
        date = "2026-11-22"
        attack = "T1505.003, T1036.008"
        tactic = "Persistence, Defense Evasion"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
        falsepositives = "Test files of upload filters"
    strings:
        $code = /<\?php[ \t\r\n]{1,4}[ -~\r\n\t]{8}/
        $short = /<\?=[ \t`]{0,4}(\$|@|`|[a-z_]{4,20}\()[ -~]{6}/
    condition:
        filesize < 20MB and
        (
            uint32(0) == 0x38464947         // GIF8
            or uint32(0) == 0x474e5089      // PNG
            or uint16(0) == 0xd8ff          // JPEG
            or uint16(0) == 0x4d42          // BMP
        ) and any of them
}
