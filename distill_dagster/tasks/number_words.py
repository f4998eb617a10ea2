"""Words and marks beside a number that change it, belong to it, or make it a part of something else. Data only.

"5 million"   5,000,000      "2 and a half"   2.5      "5kg"   5      "minus 3"   -3
"√3", "2π"    no number: the mark makes another one of it
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


POWERS = {  # of ten -> the words for it
    2: "hundred 百 백",
    3: "thousand 千 천 हज़ार हजार tausend duizend тысяч тысячи тысяча ألف آلاف",
    4: "万 萬 만",
    5: "lakh lakhs लाख",
    6: "million millionen millón millones millions milhão milhões milione milioni miljoen миллион миллиона миллионов "
    "مليون",
    7: "crore crores करोड़",
    8: "亿 億 억",
    9: "billion milliarde milliarden milliard milliards miliardi miljard миллиард миллиарда миллиардов مليار",
    12: "trillion",
}
SCALES = {word: 10**power for power, words in POWERS.items() for word in words.split()}
UNCLEAR_SCALES = _words("k mn mio mrd bn mil mille mila thousands hundreds млн млрд тыс")
PARTS = {
    "a half": (1, 2),
    "one half": (1, 2),
    "a third": (1, 3),
    "one third": (1, 3),
    "a quarter": (1, 4),
    "one quarter": (1, 4),
    "two thirds": (2, 3),
    "three quarters": (3, 4),
}
UNITS = _words(  # written right behind a number; other short words there are variables ("3x", "2ab")
    "m g s h l L W V J N t mm cm dm km mg kg ml mL cl dl kW kWh Hz kHz MHz GB MB KB TB ms min mins sec secs hr hrs am "
    "pm AM PM in ft yd yds mi lb lbs oz mph kph kmh st nd rd th ct cts pcs pts USD EUR GBP INR CNY JPY Rs kcal cal deg "
    "rad cc sq gal qt pt ha qm mol Pa kPa kN kJ MW GW um μm µm C F руб кг км м см г л ч шт"
)
CODES = _words("Rs rs RS USD EUR GBP INR CNY RMB JPY CHF US A C HK NT R S kr No no Nr nr")  # right before a number
PARTIAL_BEFORE = (
    *("sqrt", "log", "ln", "sin", "cos", "tan", "exp", "root of", "power of", "factorial of", "square of", "cube of"),
    *("half of", "third of", "quarter of", "twice", "double", "triple", "multiple of"),
    *("more than", "less than", "fewer than", "greater than", "at least", "at most"),
)
PARTIAL_AFTER = (
    *("squared", "cubed", "factorial", "to the power", "choose", "mod", "modulo", "or more", "or less", "or fewer"),
)
OPERATIONS = ("plus", "minus", "times", "divided by", "multiplied by", "over", "to")
NUMERALS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred half"
)
