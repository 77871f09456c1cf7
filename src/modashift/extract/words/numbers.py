"""Numbers as they are said, in all the ways that are common: the sound decides between them."""

import re
from collections.abc import Callable
from itertools import product

__all__ = ["cardinal", "is_number", "number_forms", "ordinal"]

Form = tuple[str, ...]

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = (
    (10**15, "quadrillion"),
    (10**12, "trillion"),
    (10**9, "billion"),
    (10**6, "million"),
    (10**3, "thousand"),
    (10**2, "hundred"),
)
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_CURRENCIES = {
    "$": ("dollar", "dollars", "cents"),
    "€": ("euro", "euros", "cents"),
    "£": ("pound", "pounds", "pence"),
    "¥": ("yen", "yen", "sen"),
}
_UNITS: dict[str, tuple[Form, ...]] = {
    "%": (("percent",),),
    "¢": (("cents",),),
    "°": (("degrees",),),
    "k": (("thousand",), ("k",)),
    "m": (("million",), ("meters",), ("m",)),
    "b": (("billion",), ("b",)),
    "bn": (("billion",),),
    "mm": (("millimeters",),),
    "cm": (("centimeters",),),
    "km": (("kilometers",),),
    "kg": (("kilograms",), ("kilos",)),
    "g": (("grams",), ("g",)),
    "lb": (("pounds",),),
    "lbs": (("pounds",),),
    "mb": (("megabytes",),),
    "gb": (("gigabytes",),),
    "am": (("a", "m"),),
    "pm": (("p", "m"),),
    "x": (("times",), ("x",)),
    "d": (("d",),),
    "th": (("th",),),
}
_NUMBER = re.compile(
    r"(?P<sign>[-+−])?(?P<currency>[$€£¥])?(?P<digits>\d{1,3}(?:,\d{3})+|\d+)(?P<decimals>\.\d+)?"
    r"(?:(?P<ordinal>st|nd|rd|th)|(?P<plural>'?s)|(?P<unit>[%¢°]|[a-z]{1,3}))?"
)
_POINT_FIRST = re.compile(r"(?P<currency>[$€£¥])?\.(?P<decimals>\d+)(?P<unit>%)?")
_JOINED = re.compile(r"(\d[\d,.]*)([-–/:x×])(\d[\d,.]*)([a-z%]*)")
_LONGEST = 15  # digits that are said as one number; longer ones, and those that start with 0, digit by digit


def cardinal(value: int) -> Form:
    """A whole number below 10¹⁸ in American words, without "and".

    >>> " ".join(cardinal(1_204_015))
    'one million two hundred four thousand fifteen'
    """
    if value < 20:
        return (_ONES[value],)
    if value < 100:
        return (_TENS[value // 10], *(cardinal(value % 10) if value % 10 else ()))
    size, name = next(scale for scale in _SCALES if value >= scale[0])
    return (*cardinal(value // size), name, *(cardinal(value % size) if value % size else ()))


def ordinal(value: int) -> Form:
    """A whole number's rank: 21 is twenty first."""
    return _last(cardinal(value), _to_ordinal)


def is_number(text: str) -> bool:
    """Whether `text`, lower case and without punctuation around it, is something `number_forms` can say."""
    return bool(number_forms(text))


def number_forms(text: str) -> tuple[Form, ...]:
    """The ways to say a number, most usual first; none where it is not a number.

    >>> [" ".join(form) for form in number_forms("1984")]
    ['nineteen eighty four', 'one thousand nine hundred eighty four', 'one nine eight four']
    >>> [" ".join(form) for form in number_forms("$3.50")][:2]
    ['three dollars fifty', 'three dollars and fifty cents']

    Args:
        text: lower case, such as 12, 1,000, 1990s, 2nd, $5, 3.5%, 10:30, 9-5, 3/4, 24/7, 10k.
    """
    joined = _JOINED.fullmatch(text)
    if joined:
        return _joined(*joined.groups())
    if match := _POINT_FIRST.fullmatch(text):
        tail = (("percent",),) if match["unit"] else (("dollars",),) if match["currency"] else ((),)
        return tuple(("point", *_digits(match["decimals"]), *end) for end in tail)
    match = _NUMBER.fullmatch(text)
    if not match or (match["unit"] and match["unit"] not in _UNITS):
        return ()
    digits = match["digits"].replace(",", "")
    sign = {None: (), "+": ("plus",)}.get(match["sign"], ("minus",))
    if match["currency"]:
        forms = _money(digits, match)
    elif match["decimals"]:
        forms = tuple((*whole, "point", *_digits(match["decimals"][1:])) for whole in _whole(digits)[:1])
    elif match["ordinal"]:
        forms = (ordinal(int(digits)),) if len(digits) <= _LONGEST else ()
    elif match["plural"]:
        forms = tuple(_last(form, _to_plural) for form in _whole(digits))
    else:
        forms = _whole(digits)
    if match["unit"] and not match["currency"]:
        forms = tuple((*form, *unit) for form, unit in product(forms, _UNITS[match["unit"]]))
    return tuple(dict.fromkeys((*sign, *form) for form in forms))


def _whole(digits: str) -> tuple[Form, ...]:
    if len(digits) > _LONGEST or (digits[0] == "0" and len(digits) > 1):
        return (_digits(digits), _digits(digits, "zero"))
    value = int(digits)
    forms = [cardinal(value)]
    if len(digits) == 4:
        high, low = divmod(value, 100)
        if high % 10:  # 1984 and 2010, not 2000 or 3010
            pair = cardinal(low) if low >= 10 else ("oh", _ONES[low]) if low else ("hundred",)
            forms.insert(0 if high < 20 else 1, (*cardinal(high), *pair))
        elif high == 20 and low:
            forms.append(("twenty", *(cardinal(low) if low >= 10 else ("oh", _ONES[low]))))
    if len(digits) >= 3 and value % 100 and value > 100:
        hundred = value // 100 * 100
        if hundred % 1000 or len(digits) == 4:
            forms.append((*cardinal(hundred), "and", *cardinal(value % 100)))
    if len(digits) == 3 and value % 100:
        forms.append(
            (_ONES[value // 100], *(cardinal(value % 100) if value % 100 >= 10 else ("oh", *_digits(digits[2]))))
        )
    if 3 <= len(digits) <= 4 or len(digits) >= 7:
        forms.append(_digits(digits))
    if value in (100, 1000, 10**6):
        forms.append(("a", forms[0][-1]))
    if value == 0:
        forms.append(("oh",))
    return tuple(dict.fromkeys(forms))


def _money(digits: str, match: re.Match[str]) -> tuple[Form, ...]:
    one, many, cents = _CURRENCIES[match["currency"]]
    scale = _UNITS[match["unit"]][0] if match["unit"] in ("k", "m", "b", "bn") else ()
    decimals = (match["decimals"] or "")[1:]
    forms: list[Form] = []
    for whole in _whole(digits)[:3]:
        name = one if digits == "1" and not scale and not decimals else many
        if len(decimals) == 2 and not scale:
            money = (*whole, one if digits == "1" else many)
            small = cardinal(int(decimals))
            if int(decimals):
                forms += [(*money, *small), (*money, "and", *small, cents), (*whole, *small)]
            forms.append(money)
        elif decimals:
            forms.append((*whole, "point", *_digits(decimals), *scale, name))
        else:
            forms.append((*whole, *scale, name))
            if name != one:
                forms.append((*whole, *scale, one))  # a five-dollar bill
    return tuple(forms)


def _joined(left: str, sign: str, right: str, unit: str) -> tuple[Form, ...]:
    one, two = number_forms(left.rstrip(",.")), number_forms(right.rstrip(",.") + unit)
    if not one or not two:
        return ()
    if sign == ":":
        if right.rstrip(",.") == "00":
            return (tuple(one[0]), (*one[0], "o'clock"), (*one[0], "hundred"))
        middles: tuple[Form, ...] = ((),)
    elif sign == "/":
        middles = ((), ("slash",), ("of",), ("out", "of"))
    elif sign in "x×":
        middles = (("by",), ("times",))
    else:
        middles = (("to",), (), ("minus",))
    forms = [(*one[0], *middle, *two[0]) for middle in middles]
    if sign == "/" and right.isdigit() and left.isdigit() and 2 <= int(right) <= 100:
        part = {2: ("half",), 4: ("quarter",)}.get(int(right), ordinal(int(right)))
        parts = [part if left == "1" else _last(part, _to_plural)]
        if right == "4":
            parts.append(("fourth",) if left == "1" else ("fourths",))
        forms = [(*one[0], *name) for name in parts] + forms
    return tuple(forms)


def _digits(digits: str, zero: str = "oh") -> Form:
    return tuple(zero if digit == "0" else _ONES[int(digit)] for digit in digits)


def _last(form: Form, change: Callable[[str], str]) -> Form:
    return (*form[:-1], change(form[-1]))


def _to_ordinal(word: str) -> str:
    return _ORDINALS.get(word) or (word[:-1] + "ieth" if word.endswith("y") else word + "th")


def _to_plural(word: str) -> str:
    if word == "half":
        return "halves"
    return word[:-1] + "ies" if word.endswith("y") else word + ("es" if word.endswith("x") else "s")
