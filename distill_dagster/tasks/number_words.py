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
PART_ALONE = _words("half third quarter fourth fifth sixth seventh eighth ninth tenth score")  # at the end: "1 third"
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
    *("more than", "less than", "fewer than", "greater than", "at least", "at most", "as many as", "as much as"),
)
PARTIAL_AFTER = (
    *("squared", "cubed", "factorial", "to the power", "choose", "mod", "modulo", "or more", "or less", "or fewer"),
)
MEASURES = _words(  # two of them make one amount: "2 hours 30 minutes", "5 feet 6 inches"
    "year years yr yrs month months week weeks wk wks day days hour hours hr hrs h minute minutes min mins "
    "second seconds sec secs s mile miles mi yard yards yd yds foot feet ft inch inches in kilometer "
    "kilometers kilometre kilometres km meter meters metre metres m centimeter centimeters centimetre "
    "centimetres cm mm kilogram kilograms kg gram grams g pound pounds lb lbs ounce ounces oz ton tons tonne "
    "tonnes stone gallon gallons gal quart quarts qt pint pints pt cup cups tablespoon tablespoons tbsp "
    "teaspoon teaspoons tsp liter liters litre litres l ml dollar dollars cent cents penny pence quarters "
    "dimes nickels euro euros rupee rupees paise degree degrees percent Jahr Jahre Monat Monate Woche Wochen "
    "Tag Tage Stunde Stunden Std Minute Minuten Sekunde Sekunden Meter Zentimeter año años mes meses semana "
    "semanas día días hora horas minuto minutos segundo segundos metro metros an ans année années mois semaine "
    "semaines jour jours heure heures seconde secondes mètre mètres centimes ano anos mês dia dias anno anni "
    "mese mesi settimana settimane giorno giorni ora ore minuti secondi jaar maanden maand weken dag dagen uur "
    "uren minuut minuten год года лет месяц месяца месяцев неделя недели недель день дня дней час часа часов "
    "минута минуты минут секунд рубль рубля рублей копеек घंटे घंटा मिनट दिन रुपये पैसे ساعة ساعات دقيقة دقائق "
    "يوم أيام"
)
LENGTHS = _words("mm cm dm km m ft in yd mi")  # with a 2 or a 3: an area or a volume
CLOCK = _words(  # the same in scripts without blanks
    "小时 小時 時間 时 時 点 點 分钟 分鐘 分 秒钟 秒 天 日 星期 周 週 个月 個月 月 年 元 角 块 毛 公里 千米 米 "
    "厘米 公斤 千克 克 斤 两 尺 寸 円 시간 분 초 일 주 개월 년 원 전"
)
DOZENS = _words(
    "dozen dozens Dutzend docena docenas douzaine douzaines dúzia dúzias dozzina dozzine dozijn дюжин дюжины"
)
UNCLEAR_SCALES = _words(  # "2 thirds" is 2/3, or a count of thirds; "2 dozen" is 24, or a count of dozens
    "k mn mio mrd bn mil mille mila thousands hundreds millions billions млн млрд тыс gross "
    "halves thirds quarters fourths fifths sixths sevenths eighths ninths tenths twelfths hundredths thousandths "
    "hälften drittel viertel fünftel sechstel achtel zehntel hundertstel tercios quintos tiers demis terços terzi "
    "трети четверти пятых десятых дюжина 打"
) | {word.casefold() for word in DOZENS}
JOINTS = _words("到 至 和 与 與 及 或 余 餘 比 から 〜 と または あまり 에서")  # between two numbers
BETWEEN = (
    "and",
    "or",
    "und",
    "oder",
    "et",
    "ou",
    "y",
    "o",
    "e",
    "en",
    "и",
    "или",
    "و",
    "أو",
    "और",
    "या",
)  # two numbers
OPERATIONS = (
    *(
        "plus",
        "minus",
        "times",
        "divided by",
        "multiplied by",
        "over",
        "plus or minus",
        "choose",
        "mod",
        "modulo",
        "by",
    ),
    *("to", "through", "bis", "bis zu", "hasta", "a", "à", "tot", "до"),  # ranges
)
NUMERALS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred half"
)
