rule disk_image_with_shortcut
{
    meta:
        id = "c52f3ea6-65a0-4f4d-aa0b-a1d0f844600d"
        title = "Disk Image With A Shortcut That Runs Something"
        level = "high"
        description = "A disk image (ISO, VHD, VHDX) has a Windows shortcut in it that starts an interpreter: files in an image lose the mark that they came from outside."
        author = "metrosoc"
        date = "2026-11-22"
        attack = "T1553.005, T1204.002"
        tactic = "Defense Evasion, Execution"
        reference = "https://attack.mitre.org/techniques/T1553/005/"
        falsepositives = "Installation media that start by a shortcut"
    strings:
        $iso = "CD001"
        $vhd = "conectix"
        $vhdx = "vhdxfile"
        $shortcut = { 4c 00 00 00 01 14 02 00 00 00 00 00 c0 00 00 00 00 00 00 46 }
        $runs = /\b(powershell|mshta|wscript|cscript|rundll32|regsvr32|cmd\.exe)/ wide ascii nocase
    condition:
        ($iso at 32769 or $vhd at 0 or $vhd at (filesize - 512) or $vhdx at 0) and $shortcut and
        for any i in (1..#shortcut) : ($runs in (@shortcut[i]..@shortcut[i] + 4096))
}
