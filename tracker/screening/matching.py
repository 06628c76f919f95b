"""Whether a name and a listed party may be the same organization: candidates, a score from 0 to 1, and why.

An :class:`Index` is built once from the listed parties and then asked with many names at a time:

1. every name becomes forms in Latin letters (:mod:`tracker.screening.names`);
2. candidates are the forms that share rare trigrams with it, found by one sparse product for a thousand names at a time; beside
   them what reads exactly alike and what one is the abbreviation of;
3. spelling is compared over all candidates at once, and only what may reach a person is compared word by word;
4. the score of the best pair of names is moved by country, identifiers and city.

Nothing here says that two organizations are the same. ``match`` means: a person would be surprised if they were not.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rapidfuzz import fuzz
from rapidfuzz.distance import Indel
from rapidfuzz.process import cpdist
from scipy import sparse

from tracker.screening import names, words
from tracker.screening.names import Form

ENGINE = "1"
"""Changed with anything that moves a score: matches keep the engine that made them, and another engine screens all again."""


class Band(enum.StrEnum):
    MATCH = "match"
    ASK = "ask"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Bands:
    """From which score on a pair is a match, and from which a person is asked."""

    match: float = 0.90
    ask: float = 0.70

    def of(self, score: float) -> Band:
        return Band.MATCH if score >= self.match else Band.ASK if score >= self.ask else Band.NONE


@dataclass(frozen=True, slots=True)
class Weights:
    """What each feature counts. The first three make up the name and sum to 1; the others move the score up or down."""

    spelling: float = 0.35
    words: float = 0.45
    contained: float = 0.20
    weak_alias: float = 0.85  # factor
    part: float = 0.95  # factor: one of two names in one writing
    consonants: float = 0.92  # factor: vowels are not compared
    abbreviation: float = 0.76  # the name score of an abbreviation and its long form
    general_only: float = (
        0.88  # ceiling for the same words, where none tells one organization from another and they are few
    )
    same_general_words: float = 0.97  # where they are enough to name a body, in any order
    general_words: float = 0.63  # ceiling for other words then
    unlike_characters: float = 0.89  # ceiling for Chinese names of one sound in other characters
    numbers: float = -0.25
    places: float = -0.12
    country_agrees: float = 0.03
    country_differs: float = -0.06
    identifier_agrees: float = 0.97  # the least score
    identifier_differs: float = -0.08
    city_agrees: float = 0.02


BANDS, WEIGHTS = Bands(), Weights()

CHUNK = 1_000
"""Names of one sparse product: bounds memory whatever is asked."""
CANDIDATES = 12
"""Forms kept for each form asked; a truth that is not among them is lost."""
COMMON = 0.02
"""A trigram that stands in a larger share of listed forms finds no candidates: it would find them all."""
LEAST_SHARED = 0.15
"""Cosine over rare trigrams below which a form is no candidate."""
SHORTER = 0.75
"""Spelling of a name whose words are all in the other: Huawei in Huawei Technologies."""
WORTH_READING, SURELY_WORTH_READING, TELLING_ALIKE = 0.52, 0.8, 60.0
"""Spelling below which a pair is not compared word by word."""


@dataclass(frozen=True, slots=True)
class PartyName:
    written: str
    weak: bool = False


@dataclass(frozen=True, slots=True)
class Party:
    """One side of a comparison. ``key`` is the caller's; ``identifiers`` are as written, of any kind."""

    key: Any
    names: tuple[PartyName, ...]
    countries: frozenset[str] = frozenset()
    identifiers: frozenset[str] = frozenset()
    cities: frozenset[str] = frozenset()


def party(
    key: Any,
    name: str,
    aliases: Iterable[str] = (),
    country: str = "",
    *,
    weak: Iterable[str] = (),
    countries: Iterable[str] = (),
    identifiers: Iterable[str] = (),
    cities: Iterable[str] = (),
) -> Party:
    """A party from plain values; aliases rank like the name, weak ones lower."""
    listed = [PartyName(name), *map(PartyName, aliases), *(PartyName(written, True) for written in weak)]
    return Party(
        key,
        tuple(dict.fromkeys(listed)),
        frozenset(filter(None, [country, *countries])),
        frozenset(identifier_key(text) for text in identifiers if identifier_key(text)),
        frozenset(filter(None, (names.folded(city) for city in cities))),
    )


def identifier_key(text: str) -> str:
    """An identifier without blanks and punctuation; blank where it is too short to identify anything."""
    bare = "".join(filter(str.isalnum, text)).upper()
    return bare if len(bare) >= 5 else ""


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing compared. ``value``: 0 (differs) to 1 (agrees), None if not known; ``effect``: what it did to the score."""

    name: str
    value: float | None
    weight: float
    effect: float
    words: str

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "value": None if self.value is None else round(self.value, 3),
            "weight": self.weight,
            "effect": round(self.effect, 3),
            "words": self.words,
        }


@dataclass(frozen=True, slots=True)
class Match:
    """A party asked about and a listed one, with the pair of names that came closest."""

    asked: Any
    listed: Any
    score: float
    band: Band
    asked_name: str
    listed_name: str
    features: tuple[Feature, ...] = field(repr=False)


# --- trigrams -----------------------------------------------------------------------------------------------------------------

_CODES = np.zeros(256, dtype=np.int32)
_CODES[ord("0") : ord("9") + 1] = np.arange(1, 11)
_CODES[ord("a") : ord("z") + 1] = np.arange(11, 37)
_ALPHABET = 37
_COLUMNS = _ALPHABET**3


def _trigrams(joined: Sequence[str]) -> sparse.csr_matrix:
    """One row for each text of [a-z0-9], a 1 in the column of each trigram it holds, its two ends marked."""
    if not any(joined):
        return sparse.csr_matrix((len(joined), _COLUMNS), dtype=np.float32)
    data = np.frombuffer(("\0" + "\0\0".join(joined) + "\0").encode("ascii", "replace"), dtype=np.uint8)
    codes = _CODES[data]
    lengths = np.fromiter((len(text) for text in joined), dtype=np.int64, count=len(joined))
    starts = np.concatenate(([0], np.cumsum(lengths + 2)[:-1]))
    rows = np.repeat(
        np.arange(len(joined)), lengths
    )  # a text of n characters, both ends marked, has n trigrams
    first = np.repeat(starts - np.concatenate(([0], np.cumsum(lengths)[:-1])), lengths) + np.arange(
        lengths.sum()
    )
    columns = (codes[first] * _ALPHABET + codes[first + 1]) * _ALPHABET + codes[first + 2]
    ones = np.ones(len(rows), dtype=np.float32)
    matrix = sparse.csr_matrix((ones, (rows, columns)), shape=(len(joined), _COLUMNS))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def _scaled(matrix: sparse.csr_matrix, idf: np.ndarray) -> sparse.csr_matrix:
    """Rows weighted by rarity and brought to length 1."""
    weighted = matrix.multiply(idf).tocsr().astype(np.float32)
    norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    norms[norms == 0] = 1
    return sparse.diags((1 / norms).astype(np.float32)).dot(weighted).tocsr()


# --- words --------------------------------------------------------------------------------------------------------------------

GENERAL_WEIGHT, PLACE_WEIGHT, NUMBER_WEIGHT = 0.15, 0.3, 0.5


class WordWeights:
    """How much a word tells: general words and places little, others 0.6 to 1 by their rarity among the listed names."""

    def __init__(self, listed: Iterable[Sequence[str]] = ()):
        counts: dict[str, int] = {}
        self.total = 0
        for found in listed:
            self.total += 1
            for word in set(found):
                counts[word] = counts.get(word, 0) + 1
        self._log_total = np.log(self.total + 2)
        self._weights: dict[str, float] = {word: self._weight(word, count) for word, count in counts.items()}

    def _weight(self, word: str, count: int) -> float:
        if word in words.GENERAL or word in words.LEGAL_LATIN:
            return GENERAL_WEIGHT
        if word in words.PLACES:
            return PLACE_WEIGHT
        if word.isdigit():
            return NUMBER_WEIGHT
        rarity = 1 - np.log(count + 1) / self._log_total if self.total > 50 else 1.0
        return float(0.6 + 0.4 * rarity) * (0.6 if len(word) < 3 else 1.0)

    def __getitem__(self, word: str) -> float:
        if (known := self._weights.get(word)) is None:
            known = self._weight(word, 0)
        return known


@dataclass(frozen=True, slots=True)
class Alignment:
    """How the words of two names go together: weights matched, of each side, and the pairs and left-overs for the explanation."""

    matched: float
    asked: float
    listed: float
    telling: float  # matched weight of words that are neither general nor places nor numbers
    alike: tuple[tuple[str, str, float], ...]
    only_asked: tuple[str, ...]
    only_listed: tuple[str, ...]

    @property
    def common(self) -> float:
        """Matched weight in both names together, 0 to 1 (Dice)."""
        return 2 * self.matched / (self.asked + self.listed) if self.asked + self.listed else 0.0

    @property
    def contained(self) -> float:
        """Matched weight of the lighter name, 0 to 1; of what tells, for general words are contained everywhere."""
        lighter = min(self.asked, self.listed)
        return min(1.0, self.matched / lighter) if lighter and self.telling else 0.0


READ = ("meaning", "sound")
"""Kinds of forms that were read from another script, so that their words are only roughly as they would be spelled."""


def align(
    asked: Sequence[str], listed: Sequence[str], weights: WordWeights, *, read: bool = False
) -> Alignment:
    """Words of two names paired: equal ones, words written apart in one of the two, then similar ones, best first.

    ``read``: one of the names was in another script, so words of the same consonants are similar too.

    >>> align(["hua", "wei", "technology"], ["huawei", "technology"], WordWeights()).common > 0.9
    True
    """
    left, right = list(asked), list(listed)
    total_left, total_right = sum(weights[word] for word in left), sum(weights[word] for word in right)
    alike: list[tuple[str, str, float]] = []
    for word in list(left):
        if word in right:
            left.remove(word)
            right.remove(word)
            alike.append((word, word, 1.0))
    if left and right:
        _pair_joined(left, right, alike, flip=False, read=read)
        _pair_joined(right, left, alike, flip=True, read=read)
        _pair_similar(left, right, alike, read)
    matched = telling = 0.0
    for one, other, likeness in alike:
        left_weight, right_weight = _sum(weights, one), _sum(weights, other)
        if " " in one or " " in other:
            # Written apart or together is no difference: both count as the lighter of the two.
            total_left -= left_weight - min(left_weight, right_weight)
            total_right -= right_weight - min(left_weight, right_weight)
            left_weight = right_weight = min(left_weight, right_weight)
        weight = likeness * (left_weight + right_weight) / 2
        matched += weight
        if not _is_general(one) or not _is_general(other):
            telling += weight
    return Alignment(
        matched,
        max(total_left, matched),
        max(total_right, matched),
        telling,
        tuple(alike),
        tuple(left),
        tuple(right),
    )


def _sum(weights: WordWeights, text: str) -> float:
    return weights[text] if " " not in text else sum(weights[word] for word in text.split())


def _is_general(text: str) -> bool:
    return all(
        word in words.GENERAL or word in words.PLACES or word in words.LEGAL_LATIN or word.isdigit()
        for word in text.split()
    )


def _pair_joined(
    short: list[str], long: list[str], alike: list[tuple[str, str, float]], *, flip: bool, read: bool
) -> None:
    """A word of ``short`` that stands in ``long`` as two to four words one after the other: huawei, hua wei."""
    for word in list(short):
        if len(word) < 4:
            continue
        bare = names.consonants(word) if read else ""
        for size, start in ((n, at) for n in (2, 3, 4) for at in range(len(long) - n + 1)):
            pieces = long[start : start + size]
            text = "".join(pieces)
            likeness = 1.0 if text == word else _joined_likeness(text, word, bare)
            if likeness:
                short.remove(word)
                del long[start : start + size]
                alike.append(
                    (" ".join(pieces), word, likeness) if flip else (word, " ".join(pieces), likeness)
                )
                break


def _joined_likeness(text: str, word: str, bare: str) -> float:
    if len(bare) > 3 and bare == names.consonants(text):
        return 0.85
    close = len(word) > 6 and abs(len(text) - len(word)) < 3 and fuzz.ratio(text, word) >= 90
    return 0.9 if close else 0.0


LEAST_LIKENESS = 0.72


def _likeness(one: str, other: str, read: bool = False) -> float:
    """0 to 1 for two words; falls off fast, since one letter more or less is often another firm."""
    if min(len(one), len(other)) < 4:
        return 0.0
    if read and (found := _read_alike(one, other)):
        return found
    ratio = Indel.normalized_similarity(one, other, score_cutoff=0.6)
    if ratio < 0.6:
        return 0.0
    if names.heard(one) == names.heard(other):
        return 0.95
    shorter, longer = sorted((one, other), key=len)
    if len(shorter) >= 4 and longer.startswith(shorter) and len(longer) - len(shorter) <= 3:
        ratio = max(ratio, 0.9)  # an ending: elektron, elektronika
    return 0.0 if ratio < LEAST_LIKENESS else 0.35 + 0.65 * (ratio - LEAST_LIKENESS) / (1 - LEAST_LIKENESS)


def _read_alike(one: str, other: str) -> float:
    """Of words read from another script: the same consonants, or a Chinese name of which the other has the first half."""
    bare = names.consonants(one)
    if len(bare) >= 3 and bare == names.consonants(other):
        return 0.85
    shorter, longer = sorted((one, other), key=len)
    return 0.7 if len(shorter) >= 6 and longer.startswith(shorter) else 0.0


def _pair_similar(left: list[str], right: list[str], alike: list[tuple[str, str, float]], read: bool) -> None:
    found = sorted(
        (
            (likeness, one, other)
            for one in left
            for other in right
            if (likeness := _likeness(one, other, read)) and not (one.isdigit() or other.isdigit())
        ),
        reverse=True,
    )
    for likeness, one, other in found:
        if one in left and other in right:
            left.remove(one)
            right.remove(other)
            alike.append((one, other, likeness))


# --- comparing one pair of names ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Entry:
    """A form of a name, with where it came from."""

    owner: int
    name: PartyName
    form: Form
    joined: str
    ordered: str  # its words in alphabetical order
    telling: str  # those of them that are neither general nor places, together


@dataclass(slots=True)
class _Compared:
    score: float
    entry: _Entry
    other: _Entry
    spelling: float
    alignment: Alignment | None  # None: an abbreviation
    factor: float
    notes: list[Feature]


def _compare(asked: _Entry, listed: _Entry, spelling: float, weights: WordWeights, how: Weights) -> _Compared:
    """The score of two names by themselves."""
    one, other = _comparable(asked.form, listed.form)
    read = asked.form.kind in READ or listed.form.kind in READ
    alignment = align(one, other, weights, read=read)
    notes: list[Feature] = []
    same = one == other
    score = (
        1.0
        if same
        else how.spelling * spelling + how.words * alignment.common + how.contained * alignment.contained
    )
    if not alignment.telling:
        # A university and its city: the same words in another order are the same body, more or other words are not.
        if _essential(one) != _essential(other):
            score = min(score, how.general_words)
        else:
            score = how.same_general_words if alignment.matched >= 0.4 else min(score, how.general_only)
    score, notes = _numbers_and_places(one, other, score, how)
    factor = min(_factor(asked, how), _factor(listed, how)) if asked.name.weak or listed.name.weak else 1.0
    factor *= min(_kind_factor(asked.form, how), _kind_factor(listed.form, how))
    score *= factor
    if score > how.unlike_characters and _same_sound_only(asked.name.written, listed.name.written):
        score = how.unlike_characters
        notes.append(
            Feature(
                "characters", 0.0, how.unlike_characters, 0.0, "read alike, but written in other characters"
            )
        )
    return _Compared(score, asked, listed, spelling, alignment, factor, notes)


def _essential(found: Sequence[str]) -> list[str]:
    return sorted(word for word in found if word not in ("group", "corporation", "company", "holding"))


def _comparable(one: Form, other: Form) -> tuple[Sequence[str], Sequence[str]]:
    if "consonants" not in (one.kind, other.kind):
        return one.words, other.words
    return _skeleton(one.words), _skeleton(other.words)


def _skeleton(found: Sequence[str]) -> list[str]:
    made = [word if _is_general(word) else names.consonants(word) or word for word in found]
    return made


def _factor(entry: _Entry, how: Weights) -> float:
    return how.weak_alias if entry.name.weak else 1.0


def _kind_factor(form: Form, how: Weights) -> float:
    return {"part": how.part, "consonants": how.consonants}.get(form.kind, 1.0)


def _numbers_and_places(
    one: Sequence[str], other: Sequence[str], score: float, how: Weights
) -> tuple[float, list[Feature]]:
    notes = []
    left, right = names.numbers(one), names.numbers(other)
    if left != right and (left and right):
        said = f"the numbers differ: {_told(left)} and {_told(right)}"
        notes.append(Feature("numbers", 0.0, how.numbers, how.numbers, said))
    elif left != right:
        said = f"only one of them has a number: {_told(left | right)}"
        notes.append(Feature("numbers", 0.5, how.numbers / 3, how.numbers / 3, said))
    left, right = frozenset(one) & words.PLACES, frozenset(other) & words.PLACES
    if left and right and not left & right:
        notes.append(
            Feature(
                "places", 0.0, how.places, how.places, f"the places differ: {_told(left)} and {_told(right)}"
            )
        )
    return max(0.0, score + sum(note.effect for note in notes)), notes


def _told(found: Iterable[str]) -> str:
    return ", ".join(sorted(found))


def _same_sound_only(one: str, other: str) -> bool:
    """Whether two Chinese writings share less than half of the shorter one's characters."""
    left, right = ({c for c in text if names.script(c) == names.HAN} for text in (one, other))
    return bool(left and right) and len(left & right) * 2 < min(len(left), len(right))


# --- the index ----------------------------------------------------------------------------------------------------------------


def _entries(parties: Sequence[Party]) -> list[_Entry]:
    found = []
    for owner, item in enumerate(parties):
        japan = "JP" if "JP" in item.countries else ""
        for name in item.names:
            for form in names.forms(name.written, japan):
                ordered = sorted(form.words)
                telling = "".join(word for word in ordered if not _is_general(word))
                found.append(_Entry(owner, name, form, form.joined, " ".join(ordered), telling))
    return found


class Index:
    """Listed parties, ready to be asked. Building costs about 0.1 ms a name; asking does not change it."""

    def __init__(self, parties: Sequence[Party], bands: Bands = BANDS, weights: Weights = WEIGHTS):
        self.parties, self.bands, self.how = parties, bands, weights
        self.entries = _entries(parties)
        self.word_weights = WordWeights(entry.form.words for entry in self.entries)
        self._plain = _Block([_run_together(entry) for entry in self.entries])
        self._bare: _Block | None = None  # built when the first name without vowels is asked
        self._exact: dict[str, list[int]] = {}
        self._short: dict[str, list[int]] = {}
        self._long: dict[str, list[int]] = {}
        seen: set[tuple[int, str]] = set()
        for at, entry in enumerate(self.entries):
            self._exact.setdefault(entry.joined, []).append(at)
            if (entry.owner, entry.name.written) in seen:
                continue
            seen.add((entry.owner, entry.name.written))
            if short := names.abbreviation(entry.name.written):
                self._short.setdefault(short, []).append(at)
            for made in names.initials(entry.name.written):
                self._long.setdefault(made, []).append(at)
        self._by_identifier: dict[str, list[int]] = {}
        for owner, item in enumerate(parties):
            for identifier in item.identifiers:
                self._by_identifier.setdefault(identifier, []).append(owner)

    def match(self, asked: Sequence[Party], limit: int = 5, least: float | None = None) -> list[list[Match]]:
        """For each party asked the listed parties it may be, best first, at most ``limit``, none below ``least`` (else: ask)."""
        least = self.bands.ask if least is None else least
        found: list[list[Match]] = []
        for start in range(0, len(asked), CHUNK):
            found += self._match_chunk(asked[start : start + CHUNK], limit, least)
        return found

    def _match_chunk(self, asked: Sequence[Party], limit: int, least: float) -> list[list[Match]]:
        if not self.entries:
            return [[] for _ in asked]
        entries = _entries(asked)
        best: dict[tuple[int, int], _Compared] = {}
        for at, to, spelling in self._pairs(entries):
            one, other = entries[at], self.entries[to]
            compared = _compare(one, other, spelling, self.word_weights, self.how)
            self._keep(best, compared)
        for compared in self._abbreviations(entries):
            self._keep(best, compared)
        for owner, item in enumerate(asked):
            self._by_identifiers(best, owner, item, entries)
        ranked: list[list[Match]] = [[] for _ in asked]
        for (owner, target), compared in best.items():
            if compared.score < least - 0.1 and not asked[owner].identifiers:
                continue
            made = self._judged(asked[owner], self.parties[target], compared)
            if made.score >= least:
                ranked[owner].append(made)
        for matches in ranked:
            matches.sort(key=lambda match: -match.score)
            del matches[limit:]
        return ranked

    @staticmethod
    def _keep(best: dict[tuple[int, int], _Compared], compared: _Compared) -> None:
        key = (compared.entry.owner, compared.other.owner)
        if key not in best or compared.score > best[key].score:
            best[key] = compared

    def _pairs(self, entries: list[_Entry]) -> Iterator[tuple[int, int, float]]:
        """Indices of forms worth reading word by word, with their spelling (0 to 1)."""
        plain = [at for at, entry in enumerate(entries) if entry.form.kind != "consonants"]
        # Foreign words keep their consonants on the way through Arabic, kana and Hangul: orinpasu is Olympus.
        bare = [at for at, entry in enumerate(entries) if entry.form.kind in ("consonants", "meaning")]
        yield from self._spelled(plain, entries, self._plain, _run_together, plain=True)
        if bare:
            if self._bare is None:
                self._bare = _Block([_bare(entry) for entry in self.entries])
            yield from self._spelled(bare, entries, self._bare, _bare, plain=False)

    def _spelled(
        self,
        which: list[int],
        entries: list[_Entry],
        block: _Block,
        text: Callable[[_Entry], str],
        *,
        plain: bool,
    ) -> Iterator[tuple[int, int, float]]:
        if not which:
            return
        texts = [text(entries[at]) for at in which]
        rows, columns = block.candidates(texts)
        if plain:
            rows, columns = self._with_exact([entries[at] for at in which], rows, columns)
        if not len(rows):
            return
        left, right = [texts[row] for row in rows], [block.texts[column] for column in columns]
        spelling = cpdist(left, right, scorer=fuzz.ratio, dtype=np.float32)
        if plain:
            left = [entries[which[row]] for row in rows]
            right = [self.entries[column] for column in columns]
            for scorer, factor, of in (
                (fuzz.ratio, 1.0, lambda entry: entry.joined),
                (fuzz.ratio, 1.0, lambda entry: entry.ordered),
                (fuzz.token_set_ratio, SHORTER, lambda entry: entry.ordered),
            ):
                scores = cpdist(list(map(of, left)), list(map(of, right)), scorer=scorer, dtype=np.float32)
                spelling = np.maximum(spelling, scores * factor)
        spelling /= 100
        worth = spelling >= WORTH_READING
        if plain:
            # What tells the two apart must be alike somewhere, or nothing of the comparison word by word could reach a person.
            near = np.flatnonzero(worth & (spelling < SURELY_WORTH_READING))
            one, other = [left[at].telling for at in near], [right[at].telling for at in near]
            worth[near] = cpdist(one, other, scorer=fuzz.partial_ratio, dtype=np.float32) >= TELLING_ALIKE
        for at in np.flatnonzero(worth):
            yield which[rows[at]], int(columns[at]), float(spelling[at])

    def _with_exact(
        self, asked: list[_Entry], rows: np.ndarray, columns: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The candidates and all forms that read exactly as asked: a short name may have no rare trigram."""
        exact = [(row, at) for row, entry in enumerate(asked) for at in self._exact.get(entry.joined, ())]
        if not exact:
            return rows, columns
        extra = np.array(exact)
        every = np.concatenate((rows, extra[:, 0])) * len(self.entries) + np.concatenate(
            (columns, extra[:, 1])
        )
        pairs = np.unique(every)
        return pairs // len(self.entries), pairs % len(self.entries)

    def _abbreviations(self, entries: list[_Entry]) -> Iterator[_Compared]:
        seen: set[tuple[int, str]] = set()
        for entry in entries:
            written = entry.name.written
            if (entry.owner, written) in seen:
                continue
            seen.add((entry.owner, written))
            found: list[int] = []
            if short := names.abbreviation(written):
                found += self._long.get(short, ())
            for made in names.initials(written):
                found += self._short.get(made, ())
            for at in dict.fromkeys(found[:50]):
                other = self.entries[at]
                length = min(len(entry.joined), len(other.joined))
                score = self.how.abbreviation - (0.04 if length < 4 else 0.0)
                factor = self.how.weak_alias if other.name.weak else 1.0
                yield _Compared(score * factor, entry, other, 0.0, None, factor, [])

    def _by_identifiers(
        self, best: dict[tuple[int, int], _Compared], owner: int, item: Party, entries: list[_Entry]
    ) -> None:
        """Parties with an identifier in common are compared whatever their names."""
        targets = {at for identifier in item.identifiers for at in self._by_identifier.get(identifier, ())}
        for target in targets:
            if (owner, target) in best:
                continue
            one = next((entry for entry in entries if entry.owner == owner), None)
            other = next((entry for entry in self.entries if entry.owner == target), None)
            if one and other:
                spelling = fuzz.ratio(one.joined, other.joined) / 100
                self._keep(best, _compare(one, other, spelling, self.word_weights, self.how))

    def _judged(self, asked: Party, listed: Party, compared: _Compared) -> Match:
        features = [*_name_features(compared, self.how), *compared.notes]
        about = _circumstances(asked, listed, self.how)
        score = compared.score
        for feature in about:
            if feature.name == "identifier" and feature.value == 1:
                continue
            score += feature.effect
        # What is beside the name never makes a match of a pair that the name does not: it only breaks ties.
        if compared.score < self.bands.match:
            score = min(score, max(compared.score, self.bands.match - 0.01))
        score = min(1.0, max(0.0, score))
        if any(feature.name == "identifier" and feature.value == 1 for feature in about):
            score = max(score, self.how.identifier_agrees)
        score = round(score, 4)
        return Match(
            asked.key,
            listed.key,
            score,
            self.bands.of(score),
            compared.entry.name.written,
            compared.other.name.written,
            (*features, *about),
        )


def _run_together(entry: _Entry) -> str:
    """Its words in alphabetical order without blanks: trigrams then hardly mind order and spacing."""
    return entry.ordered.replace(" ", "")


def _bare(entry: _Entry) -> str:
    """Without vowels, and in alphabetical order: Arabic puts the bank first."""
    return "".join(sorted(_skeleton(entry.form.words)))


class _Block:
    """Texts by their trigrams."""

    def __init__(self, texts: list[str]):
        self.texts = texts
        matrix = _trigrams(texts)
        counts = np.asarray(matrix.sum(axis=0)).ravel()
        self._idf = np.log1p(len(texts) / np.maximum(counts, 1)).astype(np.float32)
        scaled = _scaled(matrix, self._idf)
        self._all = scaled.T.tocsr()
        rare = (counts <= max(200, COMMON * len(texts))).astype(np.float32)
        self._rare = sparse.diags(rare).dot(self._all).tocsr()
        self._rare.eliminate_zeros()
        self._is_rare = rare

    def candidates(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(rows of ``texts``, rows of the block) that share rare trigrams, at most CANDIDATES for each text."""
        asked = _scaled(_trigrams(texts), self._idf)
        squares = asked.multiply(asked).dot(self._is_rare)
        # A name of common trigrams only (China Electronics Technology) is looked for among all.
        common = np.flatnonzero(squares < 0.35)
        rows, columns = self._best(asked, self._rare, np.flatnonzero(squares >= 0.35), LEAST_SHARED)
        if len(common):
            more_rows, more_columns = self._best(asked, self._all, common, 0.35)
            rows, columns = np.concatenate((rows, more_rows)), np.concatenate((columns, more_columns))
        return rows, columns

    @staticmethod
    def _best(
        asked: sparse.csr_matrix, block: sparse.csr_matrix, which: np.ndarray, least: float
    ) -> tuple[np.ndarray, np.ndarray]:
        if not len(which):
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        product = asked[which].dot(block)
        rows = np.repeat(np.arange(len(which)), np.diff(product.indptr))
        keep = product.data >= least
        rows, columns, shared = rows[keep], product.indices[keep], product.data[keep]
        order = np.lexsort((-shared, rows))
        rows, columns = rows[order], columns[order]
        first = np.searchsorted(rows, np.arange(len(which)))
        rank = np.arange(len(rows)) - first[rows]
        top = rank < CANDIDATES
        return which[rows[top]].astype(np.int64), columns[top].astype(np.int64)


# --- why ----------------------------------------------------------------------------------------------------------------------


def _name_features(compared: _Compared, how: Weights) -> list[Feature]:
    one, other = compared.entry, compared.other
    if compared.alignment is None:
        said = f"“{one.name.written}” and “{other.name.written}”: one is made of the initials of the other"
        return [Feature("abbreviation", 1.0, how.abbreviation, compared.score, said)]
    found = compared.alignment
    exact = one.form.words == other.form.words
    spelled = f"“{one.form.text}” and “{other.form.text}” " + (
        "read alike, legal forms apart" if exact else f"agree in {compared.spelling:.0%} of their letters"
    )
    shared = ", ".join(a if a == b else f"{a} ~ {b}" for a, b, _ in found.alike) or "none"
    left = "; ".join(
        f"only in the {side}: {' '.join(rest)}"
        for side, rest in (("name asked", found.only_asked), ("listed name", found.only_listed))
        if rest
    )
    features = [
        Feature("spelling", compared.spelling, how.spelling, how.spelling * compared.spelling, spelled),
        Feature(
            "words", found.common, how.words, how.words * found.common,
            f"words in common: {shared}" + (f"; {left}" if left else ""),
        ),
        Feature(
            "contained", found.contained, how.contained, how.contained * found.contained,
            f"{found.contained:.0%} of the shorter name, words weighted by rarity, is in the other",
        ),
    ]  # fmt: skip
    if compared.factor < 1:
        reasons = []
        if one.name.weak or other.name.weak:
            reasons.append("a weak alias")
        kinds = {one.form.kind, other.form.kind}
        if "part" in kinds:
            reasons.append("only one of two names in one writing")
        if "consonants" in kinds:
            reasons.append("compared by consonants, for vowels are not written")
        said = " and ".join(reasons)
        features.append(Feature("kind of name", compared.factor, compared.factor, compared.factor - 1, said))
    return features


_ONE_COUNTRY = {"HK": "CN", "MO": "CN"}


def _circumstances(asked: Party, listed: Party, how: Weights) -> list[Feature]:
    """Country, identifiers and city: each None where one side does not tell."""
    left, right = ({_ONE_COUNTRY.get(c, c) for c in item.countries} for item in (asked, listed))
    found = []
    if not left or not right:
        found.append(Feature("country", None, 0.0, 0.0, "the country of one of them is not known"))
    elif left & right:
        said = f"both in {_told(asked.countries & listed.countries or left & right)}"
        found.append(Feature("country", 1.0, how.country_agrees, how.country_agrees, said))
    else:
        said = f"{_told(asked.countries)} and {_told(listed.countries)}"
        found.append(Feature("country", 0.0, how.country_differs, how.country_differs, said))
    if asked.identifiers and listed.identifiers:
        if shared := asked.identifiers & listed.identifiers:
            said = f"the same identifier: {_told(shared)}"
            found.append(Feature("identifier", 1.0, how.identifier_agrees, how.identifier_agrees, said))
        else:
            said = "both have identifiers, none in common"
            found.append(Feature("identifier", 0.0, how.identifier_differs, how.identifier_differs, said))
    if asked.cities and listed.cities and asked.cities & listed.cities:
        said = f"both in {_told(asked.cities & listed.cities)}"
        found.append(Feature("city", 1.0, how.city_agrees, how.city_agrees, said))
    return found
