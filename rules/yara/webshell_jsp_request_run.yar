rule webshell_jsp_request_run
{
    meta:
        id = "6162c507-25fa-49af-995e-5606c1b4d122"
        title = "JSP Page Runs What The Request Says"
        level = "critical"
        description = "A JSP page starts a process from the request, or defines a class out of it in memory."
        author = "metrosoc"
        date = "2026-11-22"
        attack = "T1505.003, T1059"
        tactic = "Persistence, Execution"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
        falsepositives = "A maintenance console that somebody left behind"
    strings:
        $page = "<%"
        $tag = "<jsp:" nocase
        $request = /\brequest[ \t]{0,4}\.[ \t]{0,4}(getParameter|getHeader|getReader|getInputStream|getCookies)[ \t]{0,4}\(/
        $exec = /\bgetRuntime[ \t]{0,4}\([ \t]{0,4}\)[ \t\r\n]{0,8}\.[ \t]{0,4}exec[ \t]{0,4}\(/
        $builder = /\bnew[ \t]{1,4}(java\.lang\.)?ProcessBuilder[ \t]{0,4}\(/
        $define = /\bdefineClass[ \t]{0,4}\(/
        $decode = /\b(Base64|BASE64Decoder|Cipher)\b/
    condition:
        ($page or $tag) and $request and ($exec or $builder or ($define and $decode))
}
