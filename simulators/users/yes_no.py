"""Words that agree, decline, take back or profess not to know, by language: what may turn a decision that it stands beside.

Short lists, and strict ones: a harmless sentence that holds one of these can be put otherwise.
"""

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["REPLIES", "Replies"]


@dataclass(frozen=True, slots=True)
class Replies:
    """How a language answers an act, as patterns over case-folded text (NFKC)."""

    yes: re.Pattern[str]
    no: re.Pattern[str]
    turns: re.Pattern[str]
    """Denies or takes back what stands beside it."""
    assents: re.Pattern[str]
    """Is a mere courtesy before an answer, and a yes before anything else."""
    knows_not: re.Pattern[str]
    confirm: str
    """Names a confirmation, as whoever does not see what to confirm must."""


REPLIES: Final = {
    "en": Replies(
        yes=re.compile(
            r"\b(?:(?<!ah )yes|yeah|yep|yup|agreed|confirmed|go ahead|proceed|do it|please do)\b"
            r"|(?<!should )(?<!shall )(?<!must )(?<!would )(?<!could )(?<!can )(?<!do )\bi (?:do |hereby )?confirm\b"
        ),
        no=re.compile(r"\b(?:no(?! idea\b)|nope|nah|leave it|stop|cancel that)\b"),
        turns=re.compile(
            r"\b(?:not|never|cannot|without|nothing|but|however|actually|instead|rather|wait|forget|ignore|unless|if)\b|n['’]t\b"
        ),
        assents=re.compile(r"(?:^|[.!?,;]\s*)(?:sure|ok(?:ay)?|of course|certainly|alright|fine|absolutely|definitely|please)\b"),
        knows_not=re.compile(r"\b(?:not|no idea|unsure|cannot|never|nothing)\b|n['’]t\b"),
        confirm="confirm",
    ),
    "zh": Replies(
        yes=re.compile(r"是的|对的|没错|同意|请办|去办|办吧|确认办|(?<![要让请])我确认|(?:^|[,。!?;]\s*)(?:可以|确认)"),
        no=re.compile(r"不用|不要|不必|不办|保持原样|算了"),
        turns=re.compile(r"不(?!好意思)|没(?!问题|弄错)|(?<!特)别(?![的人])|可是|但|等等|其实|除非|如果"),
        assents=re.compile(r"(?:^|[,。!?;]\s*)(?:好|行|没问题|当然)"),
        knows_not=re.compile(r"不(?!好意思)|没"),
        confirm="确认",
    ),
}
"""By language."""
