"""Words as speech has them, so that transcripts and written sentences look alike to a model.

A transcript such as CMU-MOSI's has no punctuation, no lower case and no apostrophes (IT DIDNT WORK); review sentences
have all three. A model that starts from the one and goes on with the other sees "didn ##t" where it learnt
"didn ' t", and negation is what sentiment hangs on.
"""

import re

__all__ = ["plain_word"]

# Only those that are no word of their own without the apostrophe: its, ill, well, were, id, hell, shed, wed stay.
_CONTRACTIONS = {
    word.replace("'", ""): word
    for word in (
        "ain't aren't can't couldn't didn't doesn't don't hadn't hasn't haven't isn't mustn't needn't shouldn't wasn't "
        "weren't won't wouldn't could've i've should've they've we've would've you've he's here's how's let's she's "
        "that's there's what's where's who's it'll that'll they'll you'll i'm they're you're"
    ).split()
}
_OUTSIDE = re.compile(r"[^\w'&$%]+|_+")  # what is not spoken
_LOOSE = re.compile(r"(?<!\w)'+|'+(?!\w)")  # quotation marks: apostrophes not between letters


def plain_word(word: str) -> str:
    """Lower case, without punctuation, the apostrophe of a contraction put back.

    >>> [plain_word(w) for w in ("DIDNT", "“Great!”", "well-made", "—", "don’t", "rock'n'roll")]
    ["didn't", 'great', 'well made', '', "don't", "rock'n'roll"]
    """
    text = word.lower().replace("’", "'").replace("`", "'")
    text = _LOOSE.sub(" ", _OUTSIDE.sub(" ", text))
    return " ".join(_CONTRACTIONS.get(part, part) for part in text.split())
