"""Patterns are what they are to `re.match`, or they are refused with the reason."""

from __future__ import annotations

import re
import warnings

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from pyro_events.broker.matching.case_folding import cased_characters, fold
from pyro_events.broker.matching.patterns import Pattern, compile_pattern

# Letters whose case is special, digits, spaces, marks and symbols of many scripts, and characters that
# mean something to some parser. Without `İ` and `ı`: `re` takes them for an `i` (test_case_folding).
NASTY = (
    "abikKsSzZwWdDxX_059 .-:+*#~&|[]^$(){}\\/"
    "ßẞſ\u212aµμéÉöÖΣςσͅιΙιǅǆǄᾳᾼΐΐﬅﬆꭰᎠა\u1c90𐐨"
    "٣८²½Ⅷⅷ〇一\u00a0\u2003\u3000\u200b\u2028€→\u0301\u0308½ªªٴ\U0001f600\ue000\u0378\ufffd"
)
# A capital outside the first plane, which `re` does not find in `[a𐐀]`, not even as it is spelled.
SUBJECTS = st.text(NASTY + "𐐀", min_size=1, max_size=6)

PIECES = st.one_of(
    st.sampled_from(NASTY).map(re.escape),
    st.sampled_from(NASTY),
    st.sampled_from([*map("\\".__add__, "wWdDsSbBAZntrfva0")]),
    st.sampled_from(
        [".", "^", "$", "", r"\x41", r"\u00e9", r"\U0001f600", r"\N{EURO SIGN}", r"\101", r"\07"]
    ),
    st.sampled_from(["(?#a)", "{", "{}", "{a", "{1", "a{0}", "a{2}", "a{1,}", "a{0,2}", "}", "]", "#", " "]),
)
MEMBERS = st.one_of(
    st.sampled_from(NASTY).map(re.escape),
    st.sampled_from("ab[^-&|~:.$*"),
    st.sampled_from([*map("\\".__add__, "wWdDsSbntrfva]0")]),
    st.sampled_from(["a-z", "A-Z", "0-9", "a-", "A-z", "!-~", "é-ü", "À-Þ", "\u0100-\u017f", r"\x80-\uffff"]),
    st.sampled_from(
        ["Ā-\U0010ffff", r"\ud800-\udfff", r"\U00010000-\U0010ffff", "α-ω", "K-K", r"\0-a", r"\101"]
    ),
)
# Ranges with `İ` and `ı` in them.
AROUND_DOTLESS_I = ("Ā-", r"\x80-")
CLASSES = st.builds(
    lambda negated, first, members: f"[{negated}{first}{''.join(members)}]",
    st.sampled_from(["", "^"]),
    st.sampled_from(["", "]", "-", "^"]),
    st.lists(MEMBERS, max_size=4),
)
REPETITIONS = st.sampled_from(
    ["*", "+", "?", "*?", "+?", "??", "{0}", "{1}", "{2}", "{0,1}", "{1,}", "{1,2}?"]
)
GROUPS = st.sampled_from(
    ["(", "(?:", "(?i:", "(?s:", "(?m:", "(?u:", "(?x:", "(?-x:", "(?is-m:", "(?-i:", "(?s-i:", "(?P<a>"]
)
PATTERNS = st.recursive(
    PIECES | CLASSES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.builds(lambda group, parts: f"{group}{'|'.join(parts)})", GROUPS, st.lists(inner, max_size=3)),
        st.builds(lambda part, count: f"(?:{part}){count}", inner, REPETITIONS),
        st.builds(lambda part, count: f"{part}{count}", inner, REPETITIONS),
    ),
    max_leaves=8,
)
WHOLE = st.builds(str.__add__, st.sampled_from(["", "", "", "(?x)", "(?i)", "(?ms)", "(?u)"]), PATTERNS)
# What `re` can do, at least from Python 3.11 on, and is refused.
REFUSED = re.compile(
    "possessive|back-ref|look-ahead|conditions|atomic|the flag [aL] |flags for the whole|"
    "least count is missing|has no classes such|repeat|too costly|too large|smaller"
)


def in_re(text: str) -> re.Pattern[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return re.compile(text, re.IGNORECASE)


@given(WHOLE.filter(lambda text: len(text) < 200), st.lists(SUBJECTS, min_size=1, max_size=5))
@example("\\w", ["ͅ"])
@example("ι", ["ͅ", "ι", "Ι"])
@example("[é-ü]\\b", ["éa", "é", "é€"])
@example("[^\\Wé]\\B", ["éa", "öa", "a"])
@example("\\bK", ["\u212a"])
@example("[Ā-\U0010ffff]", ["i", "ı", "ж"])
@settings(max_examples=1000, deadline=None)
def test_a_pattern_matches_as_in_re_or_is_refused(text: str, subjects: list[str]) -> None:
    try:
        pattern = compile_pattern(text)
    except ValueError as refusal:
        if not REFUSED.search(str(refusal)):
            with pytest.raises(re.error):
                in_re(text)
        return
    expected = in_re(text)
    for subject in subjects:
        if any(each in text for each in AROUND_DOTLESS_I) and set("iI") & set(subject):
            continue
        assert pattern.matches(subject) == bool(expected.match(subject)), (text, subject)


@given(
    st.text("ab(|)*+?{}[]^-\\.$01279,:=!<>#P&~ \nwWdDsSbBAZxuUNzpCQEimsuaéſK", max_size=12),
    st.lists(SUBJECTS, min_size=1, max_size=3),
)
@settings(max_examples=1000, deadline=None)
def test_any_text_matches_as_in_re_or_is_refused(text: str, subjects: list[str]) -> None:
    assume("\n" not in text or "#" in text)
    test_a_pattern_matches_as_in_re_or_is_refused.hypothesis.inner_test(text, subjects)  # type: ignore[attr-defined]


@given(SUBJECTS, SUBJECTS)
@example("straße", "STRASSE")
@example("straße", "STRAẞE")
@example("ﬀ", "ff")
@example("İzmir", "izmir")
@example("e\u0301", "é")
def test_a_name_and_the_pattern_that_spells_it_agree(name: str, subject: str) -> None:
    pattern = compile_pattern(re.escape(name) + "$")
    for each in subject, name, name.upper(), name.lower(), name.swapcase(), name.casefold():
        assert pattern.matches(each) == (fold(each) == fold(name)), each


def test_each_cased_character_agrees_with_its_pattern_for_every_way_to_spell_it() -> None:
    for codes in cased_characters().spellings.values():
        spelled = "".join(map(chr, codes))
        others = "".join(other for other in "aqéд€٣" if fold(other) != fold(spelled[0]))
        for character in spelled:
            for text in re.escape(character), f"[{re.escape(character)}]", f"\\U{ord(character):08x}":
                pattern = compile_pattern(text)
                assert all(map(pattern.matches, spelled)), text
                assert not any(map(pattern.matches, others)), text


@pytest.mark.parametrize(
    "text", [r"\w", r"\W", r"\d", r"\D", r"\s", r"\S", r"[\w]", r"[^\w]", r"[\d\s]", r"."]
)
def test_categories_are_those_of_re_for_every_character(text: str) -> None:
    ours, expected = compile_pattern(text), in_re(text)
    wrong = [
        code
        for code in (
            *range(0x20, 0x7F),
            *range(0xA0, 0xD800, 7),
            *range(0xA0, 0x3100),
            *range(0xE000, 0x20000, 5),
        )
        if ours.matches(chr(code)) != bool(expected.match(chr(code)))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "matching", "other"),
    [
        (r"^WETTER\.\w+$", "WETTER.KÖLN", "WETTER.KÖ-LN"),
        (r"^WETTER\.\w+$", "wetter.köln", "WETTER."),
        (r"\d+$", "٣٤", "²"),
        (r"a\sb", "a\u3000b", "a\u200bb"),
        (r"[^\W\d]+$", "Straße", "Straße1"),
        (r"K[\w-]+", "\u212aÖ", "Ö"),
        (r"(?x) a b # c", "ab", "a b"),
        (r"(?x:a b)\ c", "ab c", "abc"),
        (r"(?x: a # )" "\n" ")b", "ab", "a"),
        (r"(?x) a (?-x: b) [ ] c", "A B C", "ABC"),
        ("a{2}b", "aab", "ab"),
        ("a{2,}$", "aaa", "a"),
        ("a{}", "a{}", "a"),
        ("a{x", "a{x", "ax"),
        ("[]a]$", "]", "["),
        ("[^]a]$", "b", "]"),
        ("[a-]$", "-", "b"),
        ("[[]$", "[", "]"),
        ("[a&&b]$", "&", "c"),
        ("[--/]$", ".", "a"),
        (r"[\]]\Z", "]", "]]"),
        (r"\N{LATIN SMALL LETTER E WITH ACUTE}", "É", "e"),
        (r"[\b]|x", "x", "b"),
        (r"\0|\101", "a", "b"),
        (r"\bß\b", "ẞ", "ßa"),
        (r"a\Bé", "AÉ", "a-é"),
        (r"a(?#\))b", "ab", "a"),
        (r"(?P<name>a)b", "ab", "a"),
        ("[\U00010400-\U0010ffff]", "\U00010428", "\U00010000"),
        ("[\ue000-\uffff]", "\ue000", "a"),
        (r"[\ud800-\ue000]", "\ue000", "\ue001"),
        (r"[^\xa0-\U0010ffff]", "a", "é"),
        (r"[^\x80-\xff]", "Ā", "é"),
        (r"[^\ue001-\U0010ffff]", "é", "\ue001"),
        (r"[^\w\W]|b", "b", "a"),
        (r"[\n]|\ud800|\x9f|b", "b", "a"),
        ("a|(?:)*b", "b", "c"),
        ("(?-i:stock)QUOTE", "stockquote", "Stockquote"),
        ("(?-i:É(?i:é)k)k", "ÉÉkK", "éÉkK"),
        ("(?-i:[A-Z]é)[^a]", "AéÉ", "aéé"),
        ("(?-i:[^A])", "a", "A"),
        (r"(?-i:\u212a)[k]", "\u212a\u212a", "kk"),
        (r"(?-i:\w\b)-", "Ä-", "ÄA-"),
        (r"(?-i:\bA)", "A", "a"),
        ("(?x)(?-i:A #)\n b)", "Ab", "AB"),
    ],
)
def test_what_is_translated(text: str, matching: str, other: str) -> None:
    assert in_re(text).match(matching) and not in_re(text).match(other)
    pattern = compile_pattern(text)
    assert pattern.matches(matching)
    assert not pattern.matches(other)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a{,3}", "the least count is missing: write {0,3} (at position 1)"),
        ("a{,}", "write {0,}"),
        ("a{1001}", "repeated more than 1,000 times"),
        ("a{1,1001}", "repeated more than 1,000 times"),
        ("a{99999999999}", "repeated more than 1,000 times"),
        ("a{3,2}", "min repeat greater than max repeat"),
        ("[[:upper:]]", "no classes such as [:upper:]: list the characters"),
        ("[a[:^digit:]]", "no classes such as [:^digit:]"),
        ("a**", "multiple repeat: put the first repetition in a group"),
        ("a{2}{3}", "multiple repeat"),
        ("*a", "nothing to repeat (at position 0)"),
        ("(+a)", "nothing to repeat"),
        ("a|?", "nothing to repeat"),
        ("^*", "nothing to repeat"),
        (r"\b+", "nothing to repeat"),
        ("(?i)*", "nothing to repeat"),
        ("a++", "possessive repetitions are not supported"),
        ("a{1,2}+", "possessive repetitions are not supported"),
        ("(?>a)", "atomic groups are not supported"),
        ("(a)?(?(1)b|c)", "conditions are not supported"),
        (r"(a)\1", "back-references are not supported (at position 3)"),
        (r"(a)\19", "back-references are not supported"),
        (r"\8", "back-references are not supported"),
        ("(?P<x>a)(?P=x)", "back-references are not supported"),
        ("(?=a)b", "look-ahead and look-behind are not supported"),
        ("(?!a)b", "look-ahead and look-behind are not supported"),
        ("(?<=a)b", "look-ahead and look-behind are not supported"),
        ("(?<!a)b", "look-ahead and look-behind are not supported"),
        ("(?<n>a)", "the name of a group is written (?P<name>…)"),
        ("(?P<1>a)", "bad name of a group"),
        ("(?P<n", "bad name of a group"),
        ("(?P<n>a)(?P<n>b)", "redefinition of the group name 'n'"),
        ("(?P>n)", "unknown extension of a group"),
        ("(?", "unknown extension of a group"),
        ("(?U)a", "unknown flag U"),
        ("(?a)a", "the flag a is not accepted (subjects are Unicode"),
        ("(?L:a)", "the flag L is not accepted"),
        ("(?i-i:a)", "bad flags of a group"),
        ("(?-i)a", "flags for the whole pattern"),
        ("(?-u:a)", "bad flags of a group"),
        ("(?-:a)", "bad flags of a group"),
        ("(?s-s:a)", "bad flags of a group"),
        ("a(?i)b", "flags for the whole pattern, such as (?x), must be at its start"),
        ("((?i)b)", "flags for the whole pattern"),
        ("(?-x)b", "flags for the whole pattern"),
        ("(?)b", "flags for the whole pattern"),
        ("(?#a", "missing ), unterminated comment"),
        ("(?#a\\", "bad escape (end of pattern)"),
        ("(?x)#a\\", "bad escape (end of pattern)"),
        ("(a", "missing ), unterminated subpattern (at position 0)"),
        ("a)", "unbalanced parenthesis (at position 1)"),
        ("[a", "missing ], unterminated character set (at position 0)"),
        ("[]", "missing ], unterminated character set"),
        ("[a-", "missing ], unterminated character set"),
        ("[b-a]", "bad character range"),
        (r"[a-\d]", "bad character range"),
        (r"[\d-a]", "bad character range"),
        ("a\\", "bad escape (end of pattern)"),
        ("[\\", "bad escape (end of pattern)"),
        (r"a\z", r"bad escape \z (the end of the subject is written \Z or $)"),
        (r"\pL", r"bad escape \p (`re` has no Unicode classes"),
        (r"\PL", r"bad escape \P"),
        (r"\Qa\E", r"bad escape \Q (write what `re.escape` returns)"),
        (r"\C", r"bad escape \C"),
        (r"\i", r"bad escape \i (at position 0)"),
        (r"[\A]", r"bad escape \A"),
        (r"[\9]", r"bad escape \9"),
        (r"\777", r"octal escape value \777 outside of range 0-0o377"),
        (r"[\777]", r"octal escape value \777"),
        (r"\x4", r"incomplete escape \x4"),
        (r"\u00e", r"incomplete escape \u00e"),
        (r"\UFFFFFFFF", r"bad escape \UFFFFFFFF"),
        (r"\N", "missing the name of a character"),
        (r"\N{EURO", "missing the name of a character"),
        (r"\N{no such}", "undefined character name"),
        (r"[\xa1-\U0010ffff]" * 10, "too costly: use smaller character classes"),
        ("(?:(?:a{30}){30}){30}", "use smaller repetitions"),
    ],
)
def test_what_is_refused_and_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as refusal:
        compile_pattern(text)
    assert str(refusal.value).startswith("pattern '")
    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "most"),
    [(r"^WETTER\.\w+$", 35), (r"\w", 20), (r"[^\W\d]", 20), (".", 20), ("STOCKQUOTE", 15), (r"\bé", 10)],
)
def test_unicode_makes_patterns_hardly_larger(text: str, most: int) -> None:
    assert compile_pattern(text).program_size <= most


def test_a_pattern_keeps_its_spelling() -> None:
    pattern = compile_pattern("Straße")
    assert isinstance(pattern, Pattern)
    assert pattern.text == "Straße"
