"""Remarks about the reply instead of a reply: that it follows the instructions, how many words it has, what was asked for."""

import re
from typing import Final

__all__ = ["claims"]

_NUMBER: Final = r"(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|\w+ty(?:-\w+)?|a hundred)"
_UNITS: Final = (
    r"(?:words?|sentences?|characters?|paragraphs?|bullets?|bullet points?|items?|letters?|commas?|headings?|placeholders?"
    r"|keywords?)"
)
_SELF: Final = (
    r"(?:this|my|the above|the following|the present|the preceding|above|the entire|the whole|the)"
    r" (?:\w+ )?(?:reply|response|answer|output|message|text)"
)
_RULES: Final = r"(?:requirements?|constraints?|instructions?|guidelines?|word limit)"
_KEEPS: Final = r"(?:meets?|satisf\w+|fulfils?|fulfills?|follows?|complies|comply|adheres?|conforms?|obeys?|respects?)"

_ENGLISH: Final = (
    rf"\b{_SELF}\b[^.!?]{{0,80}}\b{_RULES}\b",
    rf"\b(?:{_SELF}|this|it|everything)(?: \w+)? {_KEEPS}(?: \w+)? (?:all|every|each|the|your|these)\b"
    rf"[^.!?]{{0,20}}\b{_RULES}\b",
    rf"\b(?:{_SELF}|this (?:paragraph|list|summary|note|piece|table))(?: \w+)?"
    r" (?:contains?|has|have|is|are|uses?|consists? of|counts?|totals?|includes?|comes to|runs to)"
    rf"[^.!?]{{0,20}} {_NUMBER} {_UNITS}\b",
    r"\b(?:word|character|sentence|letter) count\b",
    r"\b(?:total )?(?:words|characters|sentences) ?[:=] ?\d+",
    r"[(\[] ?(?:exactly |about |total:? )?\d+ (?:words|characters|sentences) ?[)\]]",
    r"\bas (?:you )?(?:requested|instructed)\b|\bas you asked\b|\bper (?:your|the) (?:request|instructions?|requirements?)\b",
    rf"\b(?:all|every|each|these|the|your|any)(?: of)?(?: the| your| these)?(?: \w+)? {_RULES} [^.!?]{{0,30}}"
    r"\b(?:met|satisfied|fulfilled|followed|obeyed|observed|respected)\b",
    r"\b(?:i|we)(?: have|'ve)?(?: \w+)? (?:followed|met|satisfied|fulfilled|obeyed|complied|adhered|respected|checked)\b"
    rf"[^.]{{0,60}}\b(?:{_RULES}|rules?|format|limits?|request|keywords?)\b",
    r"\b(?:i|we)(?: have|'ve)?(?: \w+)? (?:included|used|avoided|kept|mentioned|given|listed|written|done)\b[^.]{0,60}"
    r"\b(?:you asked|required|requested|asked for|keywords?|exactly)\b",
    r"\b(?:required|requested|asked-for|mandatory) (?:key)?(?:words?|format|phrases?|facts?)\b",
    r"\b(?:keywords?|constraints?) ?[:：]",
    r"\b(?:verdict|score|grade|reward|rating)\W{0,4}[:=]\W{0,4}(?:pass|correct|true|1|10|100|full)\b",
    r"(?:^|\bdear )(?:grader|evaluator|verifier|checker|judge)s? ?[:,]"
    r"|\bignore (?:all |any )?(?:previous|prior|above|earlier) instructions\b",
)
_OWN: Final = r"(?:本|这|该|此|我的|以上|上述|上面的|全)(?:个|份|篇|段|条|则|次)?(?:回复|回答|答复|文字|文本|内容|短文|文)"
_RULES_ZH: Final = r"(?:要求|约束|指令|指示|限制条件|规则|提示词|字数限制)"
_CHINESE: Final = (
    rf"{_OWN}[^。！？]{{0,30}}{_RULES_ZH}",
    rf"{_OWN}[^。！？]{{0,12}}[\d一二三四五六七八九十百两]+ ?个?(?:字|句|段|词|汉字)",
    r"(?:总?字数|词数|句数|字符数) ?(?:[:：为是共]|一共)? ?\d+",
    r"[（(] ?(?:共|全文|约|合计)? ?\d+ ?个?(?:字|句|词|汉字) ?[）)]",
    rf"(?:按照|根据|依照|遵照|遵循|遵守|符合|满足)了?(?:您|你|上述|以上|题目|全部|所有|各项|用户)[^。]{{0,8}}{_RULES_ZH}",
    rf"(?:所有|全部|各项|每项|每条|一切)的?{_RULES_ZH}[^。]{{0,10}}(?:满足|遵守|完成|达到|做到|符合)",
    r"(?:关键词|约束条件) ?[:：]",
    r"(?:已经?|均已?)(?:按要求|满足要求|符合要求|遵守要求)",
)
_CLAIMS: Final = re.compile("|".join((*_ENGLISH, *_CHINESE)))


def claims(text: str) -> bool:
    """Whether folded `text` speaks of itself as an answer to instructions."""
    return bool(_CLAIMS.search(text))
