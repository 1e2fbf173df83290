"""Public texts that many tables use: yes and no, sexes, weekdays, countries, grades.

The name of a category that few people share must not be released, for it may be known from their rows alone. A text of
this list is known without any row, so it needs no threshold: its noisy count is released whatever it is, even where no
row has it, and a category far too rare for the threshold can still be told from noise. The list does not depend on the
table that is released, which is all that the guarantee needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import product
from string import capwords

from scipy.special import ndtri

# Expected number of texts that noise alone adds to a column: on their own, and beside a significant text of the same
# family. So 1 in 50 undeclared text columns gets a text for no reason, and 1 in 10 families that are there a wrong one.
ALONE, BESIDE = 0.02, 0.1

# Families of texts that occur together, in small letters; each is looked for in every `_styles`.
_FAMILIES = """
yes|no|maybe|don't know|refused
true|false
y|n
t|f
on|off
positive|negative|inconclusive|equivocal
pos|neg
present|absent
pass|fail
passed|failed|pending
alive|dead|deceased
living|deceased
survived|died
normal|abnormal|borderline
active|inactive|suspended|closed
open|closed
good|bad
excellent|very good|good|fair|average|poor|very poor
high|low|medium|moderate|normal|very high|very low
small|medium|large|extra large
low|medium|high|critical
new|used|refurbished
in|out
up|down|same|flat
left|right|both
male|female|diverse|transgender
m|f|x|d
man|woman|men|women
boy|girl
husband|wife|child|parent|sibling|relative
urban|rural|suburban
public|private|self
internal|external
home|away|work|school
online|offline|in store|phone|mail|email|web|mobile|app|branch
telephone|cellular|landline
chip|contactless|online|atm|swipe|manual
credit|debit|cash|check|cheque|transfer|voucher|prepaid
cash|card|credit card|debit card|bank transfer|paypal|mobile payment|invoice
day|night|morning|afternoon|evening
weekday|weekend|holiday
monday|tuesday|wednesday|thursday|friday|saturday|sunday
mon|tue|wed|thu|fri|sat|sun
january|february|march|april|may|june|july|august|september|october|november|december
jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec
spring|summer|autumn|fall|winter
q1|q2|q3|q4
north|south|east|west|central|northeast|northwest|southeast|southwest|midwest
first|second|third|fourth
basic|standard|premium|business|economy|first class
primary|secondary|tertiary
primary|secondary|high school|college|university|bachelor|master|doctorate|phd|vocational|graduate|postgraduate
high school|some college|bachelors|masters|doctorate|associate|professional
single|married|divorced|widowed|separated|never married|partnered|cohabiting|engaged
white|black|asian|hispanic|latino|native american|pacific islander|mixed|multiracial
caucasian|african american|asian|hispanic|native american
employed|unemployed|retired|student|self employed|homemaker|disabled
full time|part time|temporary|contract|permanent|casual
blue collar|white collar|management
own|rent|mortgage|owner|tenant|free
gold|silver|bronze|platinum
red|orange|yellow|green|blue|purple|brown|black|white|grey|gray|pink|silver
never|rarely|sometimes|often|usually|always
never|former|current|ex
smoker|non smoker|nonsmoker|former smoker
daily|weekly|monthly|quarterly|yearly|annually
strongly disagree|disagree|neutral|agree|strongly agree
very dissatisfied|dissatisfied|neutral|satisfied|very satisfied
mild|moderate|severe|critical
benign|malignant
case|control
treatment|control|placebo|treated|untreated
success|failure
approved|denied|rejected|pending|declined
accepted|rejected
completed|cancelled|canceled|pending|returned|failed
emergency|elective|urgent|planned|newborn|trauma
inpatient|outpatient|day case
home|transfer|expired|hospice|rehabilitation|nursing home
medicare|medicaid|private|self pay|uninsured|commercial
car|bus|train|bicycle|bike|motorcycle|truck|van|walk|walking|taxi|plane
petrol|gasoline|diesel|electric|hybrid|lpg|gas
manual|automatic
front|rear|all
clear|cloudy|rain|snow|fog|sunny|overcast|windy
lower|middle|upper
beginner|intermediate|advanced|expert
junior|senior|mid
child|adult|senior|teenager|infant
young|old
arrival|departure
africa|america|antarctica|asia|europe|oceania|north america|south america
checking|savings|credit|loan
fraud|genuine|legitimate
normal|attack
spam|ham
ja|nein
oui|non
si|no
sí|no
sim|não
homme|femme
hombre|mujer
mann|frau
männlich|weiblich
i|ii|iii|iv|v|vi|vii|viii|ix|x
a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q|r|s|t|u|v|w|x|y|z
usa|uk|eu|uae
"""
_COUNTRIES = """
afghanistan|albania|algeria|argentina|armenia|australia|austria|azerbaijan|bangladesh|belarus|belgium|bolivia|bosnia|
botswana|brazil|bulgaria|cambodia|cameroon|canada|chile|china|colombia|costa rica|croatia|cuba|cyprus|czech republic|
czechia|denmark|dominican republic|ecuador|egypt|el salvador|england|estonia|ethiopia|finland|france|georgia|germany|
ghana|greece|guatemala|haiti|honduras|hong kong|hungary|iceland|india|indonesia|iran|iraq|ireland|israel|italy|jamaica|
japan|jordan|kazakhstan|kenya|korea|kuwait|laos|latvia|lebanon|libya|lithuania|luxembourg|malaysia|malta|mexico|moldova|
mongolia|morocco|mozambique|myanmar|nepal|netherlands|new zealand|nicaragua|nigeria|north korea|norway|oman|pakistan|
panama|paraguay|peru|philippines|poland|portugal|puerto rico|qatar|romania|russia|saudi arabia|scotland|senegal|serbia|
singapore|slovakia|slovenia|south africa|south korea|spain|sri lanka|sudan|sweden|switzerland|syria|taiwan|tanzania|
thailand|trinidad and tobago|tunisia|turkey|uganda|ukraine|united arab emirates|united kingdom|united states|uruguay|
uzbekistan|venezuela|vietnam|wales|yemen|zambia|zimbabwe
"""
_STATES = """
alabama|alaska|arizona|arkansas|california|colorado|connecticut|delaware|district of columbia|florida|georgia|hawaii|
idaho|illinois|indiana|iowa|kansas|kentucky|louisiana|maine|maryland|massachusetts|michigan|minnesota|mississippi|
missouri|montana|nebraska|nevada|new hampshire|new jersey|new mexico|new york|north carolina|north dakota|ohio|oklahoma|
oregon|pennsylvania|rhode island|south carolina|south dakota|tennessee|texas|utah|vermont|virginia|washington|
west virginia|wisconsin|wyoming
"""
# Families of codes, which are written in one way only.
_CODES = """
AL|AK|AZ|AR|CA|CO|CT|DE|DC|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY
AE|AL|AR|AT|AU|BA|BE|BG|BR|BY|CA|CH|CL|CN|CO|CY|CZ|DE|DK|DZ|EE|EG|ES|FI|FR|GB|GR|HK|HR|HU|ID|IE|IL|IN|IR|IS|IT|JP|KR|LT|LU|LV|MA|MT|MX|MY|NG|NL|NO|NZ|PE|PH|PK|PL|PT|QA|RO|RS|RU|SA|SE|SG|SI|SK|TH|TN|TR|TW|UA|UK|US|VE|VN|ZA
AED|AUD|BGN|BRL|CAD|CHF|CLP|CNY|CZK|DKK|EGP|EUR|GBP|HKD|HUF|IDR|ILS|INR|ISK|JPY|KRW|MXN|MYR|NOK|NZD|PHP|PLN|RON|RUB|SAR|SEK|SGD|THB|TRY|TWD|UAH|USD|VND|ZAR
O|A|B|AB
O+|O-|A+|A-|B+|B-|AB+|AB-
A+|A|A-|B+|B|B-|C+|C|C-|D+|D|D-|F
AAA|AA|A|BBB|BB|B|CCC|CC|C|D
XXS|XS|S|M|L|XL|XXL|XXXL
N|E|S|W|NE|NW|SE|SW
AM|PM
+|-
"""
# Texts that may accompany any family.
_COMPANIONS = ("other", "unknown", "none", "missing", "not applicable", "unspecified", "various", "all")


def _styles(word: str) -> dict[tuple[str, str], str]:
    """Return style -> the word in it: lower case, sentence case, title case or upper case, and what joins its parts."""
    letters = {"small": word, "first": word[:1].upper() + word[1:], "each": capwords(word), "large": word.upper()}
    return {(case, gap): text.replace(" ", gap) for (case, text), gap in product(letters.items(), " -_")}


@cache
def _groups() -> tuple[tuple[tuple[str, ...], int], ...]:
    """Return groups of texts that occur together, in one style each, and how many texts of each are its own.

    The others are companions: members bring them in, but they bring in no members.
    """
    lines = [line for line in _FAMILIES.split("\n") if line]
    families = [line.split("|") for line in (*lines, "".join(_COUNTRIES.split("\n")), "".join(_STATES.split("\n")))]
    found: dict[tuple[str, ...], int] = {}
    for family in families:
        written = [_styles(word) for word in family]
        companions = [_styles(word) for word in _COMPANIONS]
        for style in written[0]:
            own = tuple(dict.fromkeys(word[style] for word in written))
            others = tuple(word[style] for word in companions if word[style] not in own)
            found.setdefault((*own, *others), len(own))
    for line in _CODES.split("\n"):
        if line:
            found.setdefault(tuple(line.split("|")), line.count("|") + 1)
    return tuple(found.items())


@cache
def words() -> tuple[str, ...]:
    """Return every text of the list, in every style; a constant."""
    return tuple(sorted({text for group, _ in _groups() for text in group}))


def likely(noisy: Mapping[str, float], sigma: float) -> tuple[str, ...]:
    """Return the texts that a column seems to hold; a pure function of a release.

    A text that is significant among the whole list is in. It brings in the texts of its family that are significant
    among the family, which takes far fewer rows: beside many rows with "no", a hundred with "yes" are no chance.

    Args:
      noisy: the noisy count of every one of `words`.
      sigma: standard deviation of each.
    """
    threshold = -float(ndtri(ALONE / max(len(noisy), 1))) * sigma
    clear = frozenset(text for text, count in noisy.items() if count >= threshold)
    found = set(clear)
    for group, own in _groups():
        if clear.intersection(group[:own]):
            for members in (group[:own], group[own:]):
                beside = -float(ndtri(BESIDE / max(len(members), 1))) * sigma
                found.update(text for text in members if noisy[text] >= beside)
    return tuple(sorted(found))
