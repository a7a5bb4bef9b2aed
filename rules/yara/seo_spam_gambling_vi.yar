rule seo_spam_gambling_vi
{
    meta:
        id = "90f6c447-1fd2-4039-82a3-50f395efa011"
        title = "Gambling Words Planted In A Page"
        level = "high"
        description = "A page carries at least four of the words that Vietnamese gambling sites advertise with, with accents, without, or as entities, and a link or a hidden part: search spam on a public site."
        author = "metrosoc"
        date = "2026-11-22"
        attack = "T1491.002, T1608.006"
        tactic = "Impact, Resource Development"
        reference = "https://attack.mitre.org/techniques/T1491/002/"
        falsepositives = "An article about such sites that links to one"
    strings:
        $bookmaker = /nhà cái|NHÀ CÁI|\bnha[ \-]cai\b|\bnhacai\b|nh&#224; c&#225;i|nh&#xe0; c&#xe1;i|nh&agrave; c&aacute;i/ nocase
        $over_under = /tài xỉu|TÀI XỈU|\btai[ \-]xiu\b|\btaixiu\b|t&#224;i x&#7881;u|t&#xe0;i x&#x1ec9;u/ nocase
        $jackpot = /nổ hũ|NỔ HŨ|\bno[ \-]hu\b|\bnohu\b|n&#7893; h&#361;|n&#x1ed5; h&#x169;/ nocase
        $cards = /game bài|GAME BÀI|\bgame[ \-]bai\b|\bgamebai\b|game b&#224;i|game b&#xe0;i|game b&agrave;i/ nocase
        $fish = /bắn cá|BẮN CÁ|\bban[ \-]ca\b|\bbanca\b|b&#7855;n c&#225;|b&#x1eaf;n c&#xe1;/ nocase
        $forecast = /soi cầu|SOI CẦU|\bsoi[ \-]cau\b|\bsoicau\b|soi c&#7847;u|soi c&#x1ea7;u/ nocase
        $bets = /cá độ|CÁ ĐỘ|\bca[ \-]do\b|\bcado\b|c&#225; &#273;&#7897;|c&#xe1; &#x111;&#x1ed9;/ nocase
        $lottery = /lô đề|LÔ ĐỀ|\blo[ \-]de\b|\blode\b|l&#244; &#273;&#7873;|l&#xf4; &#x111;&#x1ec1;/ nocase
        $hidden = /style[ \t]{0,2}=[ \t]{0,2}["'][^"'>\n]{0,80}(display[ \t]{0,2}:[ \t]{0,2}none|(left|top|text-indent)[ \t]{0,2}:[ \t]{0,2}-[0-9]{3})/ nocase
        $link = /<a [^>\n]{0,120}href[ \t]{0,2}=[ \t]{0,2}[\"']?https?:\/\// nocase
        $title = /<title>[^<\n]{0,120}(nhà cái|NHÀ CÁI|nha cai|tài xỉu|TÀI XỈU|tai xiu|game bài|GAME BÀI|game bai|cá độ|CÁ ĐỘ|ca do )/ nocase
    condition:
        ($hidden or $link or $title) and
        4 of ($bookmaker, $over_under, $jackpot, $cards, $fish, $forecast, $bets, $lottery)
}
