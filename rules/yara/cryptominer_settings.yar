rule cryptominer_settings
{
    meta:
        id = "f992caae-cc8a-4e81-b5f0-bf818ee7fe5d"
        title = "Settings Of A Crypto Miner"
        level = "medium"
        description = "A file tells a miner which pool to work for: somebody uses the machine to make money."
        author = "metrosoc"
        date = "2026-11-22"
        attack = "T1496"
        tactic = "Impact"
        reference = "https://attack.mitre.org/techniques/T1496/"
        falsepositives = "Documentation of miners"
    strings:
        $pool = /\bstratum[12]?\+(tcp|ssl|tls)(4|6)?:\/\/[a-z0-9$]/ nocase
        $donate = /["']?donate-level["']?[ \t]{0,3}[:=]?[ \t]{0,3}[0-9]/
        $pools = /["']pools["'][ \t]{0,3}:/
        $algorithm = /\b(randomx|rx\/0|cryptonight|cn\/r|kawpow|ethash|argon2\/chukwa|ghostrider)\b/ nocase
        $user = /["']user["'][ \t]{0,3}:[ \t]{0,3}["'][A-Za-z0-9.+]{12}/
    condition:
        filesize < 2MB and ($pool and ($donate or $algorithm) or $pools and $user and ($donate or $algorithm))
}
