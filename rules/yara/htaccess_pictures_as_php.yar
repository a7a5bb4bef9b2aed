rule htaccess_pictures_as_php
{
    meta:
        id = "6b4e223b-b780-48eb-9115-8f0fd138b838"
        title = "Htaccess Makes Pictures Into PHP"
        level = "high"
        description = "Settings of a web folder have pictures or texts run as PHP, or run a picture before every page."
        author = "metrosoc"
        date = "2026-11-22"
        attack = "T1505.003, T1562.001"
        tactic = "Persistence, Defense Evasion"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
        falsepositives = "Pictures that a script draws, set up on purpose"
    strings:
        $type = /\bAdd(Type|Handler)[ \t]{1,8}["']?(application\/x-httpd-(ea-)?php[0-9]{0,2}|x-httpd-php[0-9.]{0,3}|php[0-9.]{0,3}-script|php[0-9]{0,2}-fcgi)["']?[^\r\n]{0,60}[ \t]\.?(jpe?g|png|gif|ico|bmp|webp|svg|txt|css|log|pdf)\b/ nocase
        $files = /<Files(Match)?[ \t]{1,4}[^>\r\n]{0,80}(jpe?g|png|gif|ico|webp|txt|css)[^>\r\n]{0,40}>[ \t\r\n]{0,40}(SetHandler|ForceType)[ \t]{1,8}["']?(application\/x-httpd-(ea-)?php|php[0-9.]{0,3}-script|proxy:(unix|fcgi):)/ nocase
        $before = /\bphp_value[ \t]{1,8}auto_(prepend|append)_file[ \t]{1,8}["']?[^\r\n"']{0,160}\.(jpe?g|png|gif|ico|webp|txt|css|log)\b/ nocase
    condition:
        filesize < 256KB and any of them
}
