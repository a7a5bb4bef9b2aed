rule htaccess_search_visitors_sent_away
{
    meta:
        id = "73f03f42-6b78-4c21-ac2e-e43b176c00be"
        title = "Htaccess Sends Search Visitors Elsewhere"
        level = "high"
        description = "Settings of a web folder send visitors who come from a search engine, or its robot, to another site."
        author = "metrosoc"
        date = "2026-11-22"
        attack = "T1608.006, T1491.002"
        tactic = "Resource Development, Impact"
        reference = "https://attack.mitre.org/techniques/T1608/006/"
        falsepositives = "A move to a new address that treats robots in another way"
    strings:
        $visitor = /\bRewriteCond[ \t]{1,8}%\{HTTP_(USER_AGENT|REFERER)\}[ \t]{1,8}([^!\r\n][^\r\n]{0,200})?(google|bing|yahoo|coccoc|yandex)/ nocase
        $away = /\bRewriteRule[ \t]{1,8}[^\r\n]{1,120}[ \t]https?:\/\/[a-z0-9][^\r\n]{1,160}\[[^\]\r\n]{0,40}\b(R|P)\b/ nocase
    condition:
        filesize < 256KB and $visitor and $away
}
