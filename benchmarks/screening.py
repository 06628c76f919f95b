"""How fast names are screened, and how many planted ones are found.

A SYNTHETIC list and SYNTHETIC names that are to be found in it (changed as real names are: other legal form, letters wrong, words
moved, written apart, shortened) or not. Printed beside the figures of plain alternatives in the same run and process:

    python -m benchmarks.screening --names 100000 --listed 20000

Nothing here is a real company: every name is put together from syllables and carries the word SYNTHETIC in its key.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import time
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from rapidfuzz import fuzz, utils
from rapidfuzz.process import cdist

from benchmarks.screening_accuracy import measured
from tracker.screening.matching import Index, Party, party


def _listed(text: str) -> list[str]:
    return text.split()


SYLLABLES = _listed(
    "ba be bi bo bu ka ke ki ko ku da de di do du fa fe fi fo ga ge gi go gu ha he hi ho hu ja je ji jo la le li lo lu ma me "
    "mi mo mu na ne ni no nu pa pe pi po ra re ri ro ru sa se si so su ta te ti to tu va ve vi vo wa we wei xin xia yan yu zhen "
    "zhong chang qing hong guang long ming tian hua jian shen tech nova gen dar mir sta kor vel tran"
)
KINDS = _listed(
    "Technology Electronics Trading International Industries Group Semiconductor Systems Logistics Engineering Import_Export "
    "Holdings Information_Technology Microelectronics Precision Communications Investment "
    "Digital Solutions Equipment Machinery Energy"
)
PLACES = _listed(
    "Beijing Shanghai Shenzhen Moscow Tehran Dubai Istanbul Singapore Hong_Kong Karachi Guangzhou Minsk"
)
FORMS = (
    "Co., Ltd.",
    "LLC",
    "Limited",
    "GmbH",
    "Sdn. Bhd.",
    "Pte. Ltd.",
    "JSC",
    "Corporation",
    "Inc.",
    "FZE",
    "",
)
COUNTRIES = _listed("CN RU IR AE TR SG HK PK BY MY DE US")


@dataclass(frozen=True)
class Planted:
    """A name to be screened; ``truth`` is the key of the listed party it is, or None."""

    asked: Party
    truth: str | None
    kind: str


def _stem(random_: random.Random) -> str:
    words = [
        "".join(random_.choices(SYLLABLES, k=random_.choice((2, 3, 3, 4))))
        for _ in range(random_.choice((1, 1, 2)))
    ]
    return " ".join(word.capitalize() for word in words)


def _name(random_: random.Random, stem: str) -> str:
    place = random_.choice(PLACES) if random_.random() < 0.4 else ""
    kinds = " ".join(random_.sample(KINDS, random_.choice((0, 1, 1, 2))))
    return f"{place} {stem} {kinds}".replace("_", " ").strip()


def listed(count: int, seed: int) -> list[Party]:
    """SYNTHETIC parties; every third has an alias, which is a stem of its own."""
    random_ = random.Random(seed)
    found = []
    for number in range(count):
        name = f"{_name(random_, _stem(random_))} {random_.choice(FORMS)}".strip()
        aliases = [_name(random_, _stem(random_))] if number % 3 == 0 else []
        found.append(party(f"SYNTHETIC-{number}", name, aliases, random_.choice(COUNTRIES)))
    return found


def _without_form(name: str) -> str:
    for form in FORMS:
        if form and name.endswith(" " + form):
            return name[: -len(form) - 1]
    return name


def _typo(random_: random.Random, name: str) -> str:
    at = random_.randrange(1, len(name) - 1)
    match random_.randrange(3):
        case 0:
            return name[:at] + name[at + 1 :]
        case 1:
            return name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    return name[:at] + random_.choice("aeioustrn") + name[at:]


CYRILLIC = {"zh": "ж", "ch": "ч", "sh": "ш", "ya": "я", "yu": "ю", "x": "кс", "qu": "кв"} | dict(
    zip("abcdefghijklmnopqrstuvwyz", "абцдефгхийклмнопкрстуввйз", strict=True)
)


def _changed(random_: random.Random, kind: str, name: str) -> str:
    bare = _without_form(name)
    match kind:
        case "legal form":
            return f"{bare} {random_.choice(FORMS)}".strip()
        case "typo":
            return _typo(random_, name)
        case "word order":
            words = bare.split()
            random_.shuffle(words)
            return " ".join(words)
        case "spacing":
            words = bare.split()
            at = random_.randrange(len(words))
            half = max(2, len(words[at]) // 2)
            words[at] = words[at][:half] + " " + words[at][half:]
            return " ".join(words)
        case "Cyrillic letters":
            return re.sub("zh|ch|sh|ya|yu|qu|[a-z]", lambda letters: CYRILLIC[letters[0]], bare.lower())
    return name


CHANGES = ("as listed", "legal form", "typo", "word order", "spacing", "Cyrillic letters")


def planted(parties: list[Party], count: int, seed: int, share: float = 0.2) -> list[Planted]:
    """SYNTHETIC names: a share of them listed parties under a changed name, the rest names of nobody."""
    random_ = random.Random(seed + 1)
    found = []
    for number in range(count):
        if random_.random() < share:
            target, kind = random_.choice(parties), random_.choice(CHANGES)
            name = _changed(random_, kind, random_.choice(target.names).written)
            country = next(iter(target.countries))
            found.append(Planted(party(number, name, country=country), target.key, kind))
        else:
            name = f"{_name(random_, _stem(random_))} {random_.choice(FORMS)}".strip()
            found.append(Planted(party(number, name, country=random_.choice(COUNTRIES)), None, "nobody's"))
    return found


def token_sort(parties: list[Party], asked: list[Planted], cutoff: float = 85) -> tuple[float, float]:
    """The plain way: token_sort_ratio of every name with every listed one. (names a second of processor time, recall)"""
    pairs = [(item.key, name.written) for item in parties for name in item.names]
    texts = [" ".join(sorted(utils.default_process(text).split())) for _, text in pairs]
    busy, hits, total = time.process_time(), 0, 0
    for at in range(0, len(asked), 500):
        part = asked[at : at + 500]
        names = [
            " ".join(sorted(utils.default_process(item.asked.names[0].written).split())) for item in part
        ]
        scores = cdist(names, texts, scorer=fuzz.ratio, score_cutoff=cutoff, dtype=np.uint8, workers=1)
        for item, row in zip(part, scores, strict=True):
            if item.truth:
                total += 1
                hits += any(pairs[column][0] == item.truth for column in np.flatnonzero(row))
    return len(asked) / (time.process_time() - busy), hits / max(1, total)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--names", type=int, default=100_000)
    parser.add_argument("--listed", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--baseline-names", type=int, default=2_000, help="names given to the plain way")
    options = parser.parse_args()
    parties = listed(options.listed, options.seed)
    asked = planted(parties, options.names, options.seed)

    start = time.perf_counter()
    index = Index(parties)
    built = time.perf_counter() - start
    start, busy = time.perf_counter(), time.process_time()
    found = index.match([item.asked for item in asked])
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    rate = options.names / seconds

    hits, totals, top = defaultdict(int), defaultdict(int), 0
    false_matches = 0
    for item, matches in zip(asked, found, strict=True):
        totals[item.kind] += 1
        if item.truth:
            hits[item.kind] += any(match.listed == item.truth for match in matches)
            top += bool(matches) and matches[0].listed == item.truth
        else:
            hits[item.kind] += bool(matches)
            false_matches += any(match.band == "match" for match in matches)
    true_total = sum(count for kind, count in totals.items() if kind != "nobody's")
    true_hits = sum(count for kind, count in hits.items() if kind != "nobody's")

    print(
        f"SYNTHETIC: {options.names:,} names against {options.listed:,} listed parties ({len(index.entries):,} forms)"
    )
    print(f"index built in {built:.2f} s; screened in {seconds:.1f} s: {rate:,.0f} names/s, one process")
    print(f"{options.names / busy:,.0f} names a second of processor time, whatever else the machine does")
    print(
        f"recall of planted names (match or ask): {true_hits / true_total:.4f}; first of the answers: {top / true_total:.4f}"
    )
    for kind in CHANGES:
        print(f"    {kind:<18} {hits[kind] / max(1, totals[kind]):.4f} of {totals[kind]:,}")
    nobody, asked_about = max(1, totals["nobody's"]), hits["nobody's"]
    print(
        f"names of nobody: {asked_about / nobody:.4f} to a person, {false_matches / nobody:.5f} called a match"
    )
    base_rate, base_recall = token_sort(parties, asked[: options.baseline_names])
    print(
        f"token_sort_ratio over all pairs: {base_rate:,.0f} names a second of processor time, recall {base_recall:.4f}"
    )
    print(f"ratio to that: {options.names / busy / base_rate:.1f} x")
    print(f"labelled set: recall {measured().recall:.4f}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


if __name__ == "__main__":
    main()
