rule webshell_aspx_request_run
{
    meta:
        id = "c49a42de-2201-4319-a226-71602be865ce"
        title = "ASP.NET Page Runs What The Request Says"
        level = "critical"
        description = "An ASP.NET page evaluates the request, starts a process from it or loads a program out of it."
        author = "metrosoc"
        date = "2026-11-22"
        attack = "T1505.003, T1059.003"
        tactic = "Persistence, Execution"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
        falsepositives = "A maintenance console that somebody left behind"
    strings:
        $page = /<%@[ \t]{0,8}(Page|WebHandler|WebService|Control)\b/ nocase
        $script = /<script[^>\n]{1,60}runat[ \t]{0,2}=[ \t]{0,2}["']?server/ nocase
        $eval = /\beval[ \t]{0,4}\([ \t]{0,4}([A-Za-z0-9_.]{1,80}\([^)\n]{0,80}\)[A-Za-z.]{0,20}\([ \t]{0,4}){0,2}Request(\.(Item|Form|QueryString|Params|Headers|Cookies))?[ \t]{0,4}[\[(]/ nocase
        $request = /\bRequest(\.(Item|Form|QueryString|Params|Headers|Cookies|BinaryRead|InputStream))?[ \t]{0,4}[\[(.]/ nocase
        $start = /\b(ProcessStartInfo|Process\.Start)\b/ nocase
        $shell = /\b(cmd(\.exe)?|powershell(\.exe)?)["']/ nocase
        $load = /\bAssembly\.Load[ \t]{0,4}\(/ nocase
        $decode = /\b(FromBase64String|CreateDecryptor)[ \t]{0,4}\(/ nocase
        $instance = /\bCreateInstance[ \t]{0,4}\(/ nocase
    condition:
        ($page or $script) and (
            $eval
            or ($request and $start and $shell)
            or ($request and $load and $decode and $instance)
        )
}
