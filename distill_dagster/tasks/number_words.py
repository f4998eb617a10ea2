"""Words and marks beside a number that change it, belong to it, or make it a part of something else. Data only.

    "5 million"   5,000,000      "2 and a half"   2.5      "5kg"   5      "minus 3"   -3
    "√3", "2π"    no number: the mark makes another one of it
"""

SCALES = {
    "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
    "百": 10**2, "千": 10**3, "万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8,
    "백": 10**2, "천": 10**3, "만": 10**4, "억": 10**8,
    "lakh": 10**5, "lakhs": 10**5, "crore": 10**7, "crores": 10**7, "हज़ार": 10**3, "हजार": 10**3, "लाख": 10**5, "करोड़": 10**7,
    "tausend": 10**3, "millionen": 10**6, "milliarde": 10**9, "milliarden": 10**9,
    "millón": 10**6, "millones": 10**6, "millions": 10**6, "milliard": 10**9, "milliards": 10**9, "milhão": 10**6,
    "milhões": 10**6, "milione": 10**6, "milioni": 10**6, "miliardi": 10**9, "miljoen": 10**6, "miljard": 10**9,
    "duizend": 10**3, "тысяч": 10**3, "тысячи": 10**3, "тысяча": 10**3, "миллион": 10**6, "миллиона": 10**6,
    "миллионов": 10**6, "миллиард": 10**9, "миллиарда": 10**9, "миллиардов": 10**9, "ألف": 10**3, "آلاف": 10**3,
    "مليون": 10**6, "مليار": 10**9,
}  # fmt: skip
UNCLEAR_SCALES = {"k", "mn", "mio", "mrd", "bn", "mil", "mille", "mila", "thousands", "hundreds", "млн", "млрд", "тыс"}
PARTS = {"a half": (1, 2), "one half": (1, 2), "a quarter": (1, 4), "a third": (1, 3), "one third": (1, 3)}
PARTS |= {"three quarters": (3, 4), "two thirds": (2, 3), "one quarter": (1, 4)}

UNITS = frozenset(  # written right behind a number; other short words there are variables ("3x", "2ab")
    "m g s h l L W V J N t mm cm dm km mg kg ml mL cl dl kW kWh Hz kHz MHz GB MB KB TB ms min mins sec secs hr hrs am pm "
    "AM PM in ft yd yds mi lb lbs oz mph kph kmh st nd rd th ct cts pcs pts USD EUR GBP INR CNY JPY Rs kcal cal deg rad cc "
    "sq gal qt pt ha qm mol Pa kPa kN kJ MW GW um μm µm °C °F руб кг км м см г л ч шт".split()
)
CODES = frozenset("Rs rs RS USD EUR GBP INR CNY RMB JPY CHF US A C HK NT R S kr No no Nr nr".split())  # right before one
PARTIAL_BEFORE = (
    "sqrt", "log", "ln", "sin", "cos", "tan", "exp", "root of", "power of", "factorial of", "half of", "third of",
    "quarter of", "twice", "double", "triple", "square of", "cube of", "multiple of", "more than", "less than", "at least",
    "at most", "fewer than", "greater than",
)  # fmt: skip
PARTIAL_AFTER = ("squared", "cubed", "factorial", "to the power", "choose", "mod", "modulo", "or more", "or less", "or fewer")
OPERATIONS = ("plus", "minus", "times", "divided by", "multiplied by", "over", "to")
NUMERALS = frozenset(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred half".split()
)
