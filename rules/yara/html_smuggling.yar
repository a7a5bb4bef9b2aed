rule html_smuggling
{
    meta:
        id = "9bc46ea2-e61e-4e05-a676-4e8f6d0960ac"
        title = "Web Page That Builds A Program"
        level = "high"
        description = "A page has an archive or a program in it as text, puts it together in the browser and offers it for saving, past mail and web filters."
        author = "metrosoc"
        date = "2026-11-22"
        attack = "T1027.006, T1204.001"
        tactic = "Defense Evasion, Execution"
        reference = "https://attack.mitre.org/techniques/T1027/006/"
        falsepositives = "Pages that are saved together with their downloads"
    strings:
        $script = /<script[ \t>]/ nocase
        $decode = /\b(atob[ \t]{0,4}\(|Uint8Array\b|charCodeAt[ \t]{0,4}\()/
        $blob = /\bnew[ \t]{1,4}(Blob|File)[ \t]{0,4}\(/
        $offer = /\b(createObjectURL|msSaveOrOpenBlob|msSaveBlob)[ \t]{0,4}\(/
        $carried = /["'`](TV[opqr][A-Za-z0-9]|UEsDB|UmFyIRo|N3q8ry|TAAAAAEUAg|TVNDRg|0M8R4KGx)[A-Za-z0-9+\/]{24}/
    condition:
        filesize < 50MB and all of them
}
