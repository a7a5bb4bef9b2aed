rule office_macro_dropper
{
    meta:
        id = "c440fde6-8ab8-4490-a76d-fdbcf1588136"
        title = "Macro Runs By Itself And Fetches Or Starts Programs"
        level = "high"
        description = "The macro of a document starts by itself when it is opened, and starts a program or fetches a file."
        author = "metrosoc"
        date = "2026-11-22"
        attack = "T1204.002, T1059.005"
        tactic = "Execution"
        reference = "https://attack.mitre.org/techniques/T1204/002/"
        falsepositives = "Macros of the house that start programs"
    strings:
        $module = "Attribute VB_Name"
        $auto = /\b(Auto_?Open|Auto_?Exec|Auto_?Close|Document_Open|Document_Close|Workbook_Open|Workbook_Activate|Presentation_Open)[ \t]{0,4}\(/ nocase
        $run = /\b(Shell[ \t]{0,4}\(|Shell[ \t]{1,4}["A-Za-z]|ShellExecute|CreateObject[ \t]{0,4}\(|GetObject[ \t]{0,4}\(|CallByName[ \t]{0,4}\()/ nocase
        $what = /\b(powershell|pwsh|mshta|wscript|cscript|rundll32|regsvr32|certutil|bitsadmin|cmd(\.exe)?[ \t]{1,4}\/[ck]|URLDownloadToFile|XMLHTTP|WinHttpRequest|ADODB\.Stream|SaveToFile|Win32_Process)\b/ nocase
    condition:
        $module at 0 and $auto and $run and $what
}
