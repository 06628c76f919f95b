"""A name of an organization, in any script, becomes words in plain Latin letters that can be compared.

Three steps. The writing is folded (compatibility forms, case, accents, punctuation) and cut into variants where it holds two
names, "Hon Hai Precision Industry (Foxconn)". Legal forms go: they are in one writing of a name and not in the next. What is in
another script is read: general words by their usual English word, everything else by its sound, so that 华为技术有限公司 becomes
``huawei technology``, and a second form keeps the sound alone. Arabic and Hebrew are written without most vowels; such names are
compared by their consonants.

>>> [form.text for form in forms("华为技术有限公司")]
['huawei technology', 'huaweijishu']
>>> [form.text for form in forms("Huawei Technologies Co., Ltd.")]
['huawei technology']
>>> [form.text for form in forms("ООО «Ангстрем-Т»")]
['angstrem t']
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from anyascii import anyascii

from tracker.screening import words

LONGEST_NAME = 400
"""Characters of a name that are read; the longest registered names have some 250."""

HAN, KANA, HANGUL, CYRILLIC, ARABIC, HEBREW, LATIN, OTHER = (
    "Han", "Kana", "Hangul", "Cyrillic", "Arabic", "Hebrew", "Latin", "other",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Form:
    """One way to read a name: its words in Latin letters and digits, in the order written, legal forms left out.

    ``kind``: ``written`` (Latin letters as they stand), ``meaning`` (general words translated), ``sound``, ``consonants``,
    ``part`` (one of two names in one writing) or ``initials``.
    """

    words: tuple[str, ...]
    kind: str

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def joined(self) -> str:
        return "".join(self.words)


def forms(written: str, country: str = "") -> tuple[Form, ...]:
    """The readings of a name, the best first; empty where it holds no letter or digit.

    ``country`` (ISO code) tells how Han characters are read: JP reads them as Japanese.
    """
    return _forms(unicodedata.normalize("NFKC", written[:LONGEST_NAME]).strip(), country == "JP")


@lru_cache(maxsize=200_000)
def _forms(written: str, japanese: bool) -> tuple[Form, ...]:
    found: dict[tuple[str, ...], Form] = {}
    variants = (written,) if "(" not in written and "/" not in written else _variants(written)
    for number, variant in enumerate(variants):
        for form in _read(variant, japanese):
            if form.words:
                found.setdefault(form.words, Form(form.words, "part") if number else form)
    return tuple(found.values())


def _variants(written: str) -> tuple[str, ...]:
    """The whole, then the names it holds: outside and inside of brackets, on either side of a stroke."""
    whole = re.sub(r"[()]", " ", written)
    outside = re.sub(r"\([^()]*\)", " ", written).strip()
    # "(Shenzhen)" tells a subsidiary from its parent: without it the name would be another's.
    inside = [part for part in re.findall(r"\(([^()]+)\)", written) if _is_name(part)]
    parts = [outside, *inside] if inside else []
    if re.search(r"\s/\s", written):
        parts += re.split(r"\s/\s", whole)
    return (whole, *(part for part in parts if _is_name(part)))


def _is_name(part: str) -> bool:
    """Whether a part can stand for the organization: not a place, a legal form or a remark."""
    folded_words = folded(part).split() if part.isascii() else [part]
    telling = [
        w for w in folded_words if w not in words.PLACES | words.GENERAL | words.LEGAL_LATIN | words.SMALL
    ]
    return len("".join(telling)) > 3 or any(not word.isascii() for word in telling)


# --- one variant --------------------------------------------------------------------------------------------------------------


def _read(written: str, japanese: bool) -> list[Form]:
    if written.isascii():
        return [Form(_latin_words(written), "written")]
    scripts = {script(character) for character in written if character.isalpha()}
    if scripts <= {LATIN, OTHER}:
        return [Form(_latin_words(anyascii(written)), "written")]
    if scripts & {ARABIC, HEBREW}:
        return _read_consonants(written)
    japanese = japanese or KANA in scripts or "株式会社" in written
    meaning = _latin_words(_translated(written, japanese))
    sound = _latin_words(_sounded(_without_legal_forms(written)))
    return (
        [Form(meaning, "meaning"), Form(sound, "sound")] if sound != meaning else [Form(meaning, "meaning")]
    )


def _latin_words(text: str) -> tuple[str, ...]:
    plain = folded(text)
    for phrase in words.LEGAL_PHRASES:
        if phrase in plain:
            plain = " ".join(plain.replace(phrase, " ").split()) or plain
    found = plain.split()
    while len(found) > 1 and found[-1] in words.LEGAL_LATIN:
        found.pop()
    while len(found) > 1 and found[0] in words.LEGAL_LEADING:
        found.pop(0)
    kept = [
        part for word in found if word not in words.SMALL for part in words.CANONICAL.get(word, word).split()
    ]
    return tuple(_ONE_WORD.sub(lambda pair: _WRITTEN_ONCE[pair[0]], " ".join(kept or found)).split())


# Two words to a reader, one to a matcher: 科技 is science and technology in one company's English name, technology in the next.
_WRITTEN_ONCE = {
    "hong kong": "hongkong",
    "abu dhabi": "abudhabi",
    "science technology": "technology",
    "xi an": "xian",
}
_ONE_WORD = re.compile(r"\b(?:" + "|".join(_WRITTEN_ONCE) + r")\b")


_DOTTED = re.compile(r"\b((?:[a-z]\.\s?){2,})")
_ORDINAL = re.compile(r"\b(\d+)(?:st|nd|rd|th)\b")
_NUMBERED = re.compile(r"\bno\.?\s*(?=\d)")
_APOSTROPHES = re.compile(r"['’`]")
_NOT_WORD = re.compile(r"[^a-z0-9]+")


def folded(text: str) -> str:
    """Latin text in lower-case letters and digits, words parted by single blanks.

    >>> folded("A.B.C. Sdn. Bhd."), folded("No. 38th Research-Institute")
    ('abc sdn bhd', '38 research institute')
    """
    lower = _APOSTROPHES.sub("", text.casefold())
    if "." in lower:
        lower = _DOTTED.sub(lambda found: re.sub(r"[.\s]", "", found[0]) + " ", lower + " ")
        lower = _NUMBERED.sub("", lower)
    if any(character.isdigit() for character in lower):
        lower = _ORDINAL.sub(r"\1", _NUMBERED.sub("", lower))
    return _NOT_WORD.sub(" ", lower).strip()


# --- other scripts ------------------------------------------------------------------------------------------------------------

_BLOCKS = (
    (0x0370, 0x03FF, OTHER), (0x0400, 0x052F, CYRILLIC), (0x0590, 0x05FF, HEBREW), (0x0600, 0x077F, ARABIC),
    (0x08A0, 0x08FF, ARABIC),
    (0x1100, 0x11FF, HANGUL), (0x3040, 0x30FF, KANA), (0x3130, 0x318F, HANGUL), (0x31F0, 0x31FF, KANA), (0x3400, 0x9FFF, HAN),
    (0xAC00, 0xD7AF, HANGUL), (0xF900, 0xFAFF, HAN), (0xFB50, 0xFEFF, ARABIC), (0x20000, 0x3FFFF, HAN),
)  # fmt: skip


@lru_cache(maxsize=20_000)
def script(character: str) -> str:
    """The script of a letter, as far as reading depends on it."""
    point = ord(character)
    if point < 0x0250:
        return LATIN
    return next((name for first, last, name in _BLOCKS if first <= point <= last), OTHER)


def _without_legal_forms(written: str) -> str:
    """Legal forms of the other scripts taken out, wherever they stand: 株式会社 stands at either end."""
    text = written.casefold()
    for form in (*words.LEGAL_HAN, *words.LEGAL_KOREAN):
        text = text.replace(form, " ")
    for form in (*words.LEGAL_CYRILLIC, *words.LEGAL_ARABIC):
        if form in text:
            text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", " ", text)
    return text if any(map(str.isalnum, text)) else written.casefold()


def _translated(written: str, japanese: bool) -> str:
    """General words by their meaning, the rest by its sound; a Latin word for each stretch of one script."""
    text = _without_legal_forms(written)
    stretches: list[str] = []
    kinds = {HAN: KANA, KANA: KANA} if japanese else {}
    for kind, group in groupby(text, key=lambda character: _stretch_of(character, kinds)):
        stretch = "".join(group)
        if kind == KANA and japanese:
            stretches += _segmented(stretch, _JAPANESE, _sounded)
        elif kind == HAN:
            stretches += _segmented(stretch, _HAN, _sounded)
        elif kind == HANGUL:
            stretches += _segmented(stretch, words.KOREAN, _korean)
        elif kind == CYRILLIC:
            stretches.append(words.CYRILLIC[stretch] if stretch in words.CYRILLIC else _sounded(stretch))
        elif stretch != "-":
            stretches.append(anyascii(stretch))
    return " ".join(stretches)


def _stretch_of(character: str, kinds: Mapping[str, str]) -> str:
    """The script that a character is read with; ー prolongs kana and is no letter of its own."""
    if character == "ー":
        return KANA
    kind = script(character) if character.isalpha() else ""
    return kinds.get(kind, kind)


def _segmented(stretch: str, lexicon: Mapping[str, str], sound: object) -> list[str]:
    """A stretch without blanks, cut at the longest words of the lexicon; each remainder becomes one word."""
    found: list[str] = []
    rest, at = "", 0
    longest = 13  # characters of エレクトロニクス and the like
    while at < len(stretch):
        for size in range(min(longest, len(stretch) - at), 0, -1):
            if (piece := stretch[at : at + size]) in lexicon:
                if rest:
                    found.append(sound(rest))  # type: ignore[operator]
                    rest = ""
                found.append(lexicon[piece])
                at += size
                break
        else:
            rest += stretch[at]
            at += 1
    if rest:
        found.append(sound(rest))  # type: ignore[operator]
    return found


_HAN = words.HAN | words.HAN_PLACES
_JAPANESE = words.HAN_PLACES | words.JAPANESE | words.KATAKANA

# Read otherwise in names of firms than alone: 长 is chang in 长江 and 长鑫, whatever the writing.
_READINGS = {"长": "chang", "長": "chang"}


@lru_cache(maxsize=50_000)
def _sounded(text: str) -> str:
    """Text by its sound; Han characters in pinyin without tones, the syllables of a stretch written together."""
    if text.isascii():
        return text
    found: list[str] = []
    for is_han, group in groupby(text, key=lambda character: script(character) == HAN):
        stretch = "".join(group)
        found.append(_pinyin(stretch) if is_han else anyascii(stretch).casefold())
    return "".join(found)


def _pinyin(stretch: str) -> str:
    from pypinyin import (
        lazy_pinyin,
    )  # its dictionary takes a fifth of a second to load, and Latin lists need none

    syllables = lazy_pinyin(stretch, v_to_u=False)
    if len(syllables) != len(
        stretch
    ):  # a character that has no reading was left in one piece with its neighbour
        return anyascii(stretch).casefold()
    read = (
        _READINGS.get(character, syllable) for character, syllable in zip(stretch, syllables, strict=True)
    )
    return anyascii("".join(read)).casefold()


def _korean(text: str) -> str:
    """Hangul as firms write themselves in Latin letters.

    What spells out Latin letters becomes those. Else syllable by syllable: a last g, b, d sounds k, p, t; the eu that only parts
    consonants of a foreign word goes, as in robotigseu; eo is mostly written u, as in Samsung.
    """
    letters = _segmented(text, words.HANGUL_LETTERS, lambda rest: " ")
    if len(letters) > 1 and " " not in letters:
        return "".join(letters)
    syllables = []
    for syllable in re.findall(r"[A-Z][a-z]*", anyascii(text)):
        sounded = syllable.casefold()
        if len(sounded) > 2 and sounded[-1] in "gbd":
            sounded = sounded[:-1] + {"g": "k", "b": "p", "d": "t"}[sounded[-1]]
        syllables.append(re.sub(r"eu$", "", sounded).replace("eo", "u").replace("eu", "u"))
    return "".join(syllables).replace("lr", "ll") or anyascii(text).casefold()


# --- consonants ---------------------------------------------------------------------------------------------------------------


def _read_consonants(written: str) -> list[Form]:
    """By meaning and by sound, both to be compared without vowels."""
    text = re.sub(r"[\u064b-\u0652\u0640]", "", _without_legal_forms(written))
    found = re.findall(r"[^\W_]+", text)
    meaning = [_arabic_meaning(word) for word in found]
    sound = [anyascii(word.removeprefix("ال") if len(word) > 4 else word) for word in found]
    mixed = [one if one is not None else other for one, other in zip(meaning, sound, strict=True)]
    # The article is written together with a name in one Latin spelling (Almarai) and left out in the next.
    texts = (" ".join(mixed), " ".join(sound), " ".join(map(anyascii, found)))
    read = [_latin_words(text) for text in texts]
    return [Form(form, "consonants") for form in dict.fromkeys(read) if form]


_FOLDS = (
    ("ce", "s"),
    ("ci", "s"),
    ("kh", "k"),
    ("gh", "g"),
    ("sh", "s"),
    ("ch", "k"),
    ("th", "t"),
    ("dh", "d"),
    ("ph", "f"),
    ("x", "ks"),
)
_FOLDED_LETTERS = str.maketrans("qcpvzjlm", "kkbfsgrn", "aeiouwy'")


def consonants(word: str) -> str:
    """A word without what Arabic does not write or writes alike: vowels, w, y, a last h; q as k, p as b, l as r; none twice.

    >>> consonants("ittisalat"), consonants("aramco") == consonants("ramkw")
    ('tsrt', True)
    """
    word = word.removesuffix("h")
    for pair, letter in _FOLDS:
        word = word.replace(pair, letter)
    return "".join(letter for letter, _ in groupby(word.translate(_FOLDED_LETTERS)))


def _arabic_meaning(word: str) -> str | None:
    """The Latin word for a general one, with or without article, "and" and "for the"."""
    for prefix, kept in (("", ""), ("ال", ""), ("و", ""), ("وال", ""), ("لل", "ال"), ("لل", ""), ("", "ال")):
        if (
            word.startswith(prefix)
            and (found := words.ARABIC.get(kept + word.removeprefix(prefix))) is not None
        ):
            return found
    return None


# --- spelling by ear ----------------------------------------------------------------------------------------------------------

_ALIKE = (
    ("shch", "sh"), ("sch", "sh"), ("tch", "ch"), ("ce", "se"), ("ci", "si"), ("cy", "si"), ("kh", "h"),
    ("ph", "f"), ("ts", "c"), ("ck", "k"), ("ou", "u"),
    ("oo", "u"), ("ee", "i"), ("iy", "i"), ("yi", "i"), ("ij", "i"), ("qu", "kv"),
)  # fmt: skip
_ALIKE_LETTERS = str.maketrans("ycqwj", "ikkvi")


@lru_cache(maxsize=100_000)
def heard(word: str) -> str:
    """A word as it sounds in whatever spelling: yandeks and yandex, vympelkom and vimpelcom give the same.

    >>> heard("yandeks") == heard("yandex"), heard("vympelkom") == heard("vimpelcom")
    (True, True)
    """
    for pair, letter in _ALIKE:
        if pair in word:
            word = word.replace(pair, letter)
    return "".join(letter for letter, _ in groupby(word.translate(_ALIKE_LETTERS).replace("ks", "x")))


# --- initials -----------------------------------------------------------------------------------------------------------------


def initials(written: str) -> frozenset[str]:
    """What a name is shortened to: the initials of its words, with and without legal form, 3 to 8 letters.

    >>> sorted(initials("ChangXin Memory Technologies, Inc."))
    ['cmt', 'cmti', 'cxmt', 'cxmti']
    """
    if not written.isascii():
        return frozenset()
    split = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", re.sub(r"\([^()]*\)", " ", written))
    found: set[str] = set()
    for pieces in (folded(written).split(), [piece.casefold() for piece in split]):
        long = [piece for piece in pieces if piece not in words.SMALL]
        short = list(long)
        while len(short) > 1 and short[-1] in words.LEGAL_LATIN:
            legal = short.pop()
            found.add("".join(piece[0] for piece in short))
            # One of the legal words may be in it: CATL has the L of "Co., Limited".
            bare = [piece for piece in short if piece not in words.LEGAL_LATIN]
            found.add("".join(piece[0] for piece in (*bare, legal)))
        found |= {"".join(piece[0] for piece in long), "".join(piece[0] for piece in short)}
    return frozenset(made for made in found if 3 <= len(made) <= 8 and made.isalpha())


def abbreviation(written: str) -> str:
    """The name itself in lower case if it is written like an abbreviation (TSMC, S.M.I.C.), else blank."""
    plain = written.replace(".", "").strip()
    return (
        plain.casefold()
        if plain.isascii() and plain.isalpha() and plain.isupper() and 3 <= len(plain) <= 8
        else ""
    )


def numbers(found: Iterable[str]) -> frozenset[str]:
    """The whole numbers among the words of a name: a 38th institute is not the 54th."""
    return frozenset(word for word in found if word.isdigit())
