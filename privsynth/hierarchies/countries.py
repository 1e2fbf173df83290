"""Countries of ISO 3166-1 in the regions of the United Nations (M49): continent, region.

Both are lists of facts: the codes that the standard assigns, and the region in which M49 counts each. Antarctica is a
region of its own, and Taiwan, which M49 does not list, is counted to Eastern Asia.
"""

from __future__ import annotations

from functools import partial

from privsynth.hierarchies.hierarchy import Hierarchy, Path, listed

# ruff: noqa: E501
# continent | region | alpha-2 code, alpha-3 code and number of each country
_REGIONS = """
Africa|Northern Africa|DZ DZA 012, EG EGY 818, LY LBY 434, MA MAR 504, SD SDN 729, TN TUN 788, EH ESH 732
Africa|Eastern Africa|IO IOT 086, BI BDI 108, KM COM 174, DJ DJI 262, ER ERI 232, ET ETH 231, TF ATF 260, KE KEN 404, MG MDG 450, MW MWI 454, MU MUS 480, YT MYT 175, MZ MOZ 508, RE REU 638, RW RWA 646, SC SYC 690, SO SOM 706, SS SSD 728, UG UGA 800, TZ TZA 834, ZM ZMB 894, ZW ZWE 716
Africa|Middle Africa|AO AGO 024, CM CMR 120, CF CAF 140, TD TCD 148, CG COG 178, CD COD 180, GQ GNQ 226, GA GAB 266, ST STP 678
Africa|Southern Africa|BW BWA 072, SZ SWZ 748, LS LSO 426, NA NAM 516, ZA ZAF 710
Africa|Western Africa|BJ BEN 204, BF BFA 854, CV CPV 132, CI CIV 384, GM GMB 270, GH GHA 288, GN GIN 324, GW GNB 624, LR LBR 430, ML MLI 466, MR MRT 478, NE NER 562, NG NGA 566, SH SHN 654, SN SEN 686, SL SLE 694, TG TGO 768
Americas|Caribbean|AI AIA 660, AG ATG 028, AW ABW 533, BS BHS 044, BB BRB 052, BQ BES 535, VG VGB 092, KY CYM 136, CU CUB 192, CW CUW 531, DM DMA 212, DO DOM 214, GD GRD 308, GP GLP 312, HT HTI 332, JM JAM 388, MQ MTQ 474, MS MSR 500, PR PRI 630, BL BLM 652, KN KNA 659, LC LCA 662, MF MAF 663, VC VCT 670, SX SXM 534, TT TTO 780, TC TCA 796, VI VIR 850
Americas|Central America|BZ BLZ 084, CR CRI 188, SV SLV 222, GT GTM 320, HN HND 340, MX MEX 484, NI NIC 558, PA PAN 591
Americas|South America|AR ARG 032, BO BOL 068, BV BVT 074, BR BRA 076, CL CHL 152, CO COL 170, EC ECU 218, FK FLK 238, GF GUF 254, GY GUY 328, PY PRY 600, PE PER 604, GS SGS 239, SR SUR 740, UY URY 858, VE VEN 862
Americas|Northern America|BM BMU 060, CA CAN 124, GL GRL 304, PM SPM 666, US USA 840
Antarctica|Antarctica|AQ ATA 010
Asia|Central Asia|KZ KAZ 398, KG KGZ 417, TJ TJK 762, TM TKM 795, UZ UZB 860
Asia|Eastern Asia|CN CHN 156, HK HKG 344, MO MAC 446, KP PRK 408, JP JPN 392, MN MNG 496, KR KOR 410, TW TWN 158
Asia|South-eastern Asia|BN BRN 096, KH KHM 116, ID IDN 360, LA LAO 418, MY MYS 458, MM MMR 104, PH PHL 608, SG SGP 702, TH THA 764, TL TLS 626, VN VNM 704
Asia|Southern Asia|AF AFG 004, BD BGD 050, BT BTN 064, IN IND 356, IR IRN 364, MV MDV 462, NP NPL 524, PK PAK 586, LK LKA 144
Asia|Western Asia|AM ARM 051, AZ AZE 031, BH BHR 048, CY CYP 196, GE GEO 268, IQ IRQ 368, IL ISR 376, JO JOR 400, KW KWT 414, LB LBN 422, OM OMN 512, QA QAT 634, SA SAU 682, PS PSE 275, SY SYR 760, TR TUR 792, AE ARE 784, YE YEM 887
Europe|Eastern Europe|BY BLR 112, BG BGR 100, CZ CZE 203, HU HUN 348, PL POL 616, MD MDA 498, RO ROU 642, RU RUS 643, SK SVK 703, UA UKR 804
Europe|Northern Europe|AX ALA 248, DK DNK 208, EE EST 233, FO FRO 234, FI FIN 246, GG GGY 831, IS ISL 352, IE IRL 372, IM IMN 833, JE JEY 832, LV LVA 428, LT LTU 440, NO NOR 578, SJ SJM 744, SE SWE 752, GB GBR 826
Europe|Southern Europe|AL ALB 008, AD AND 020, BA BIH 070, HR HRV 191, GI GIB 292, GR GRC 300, VA VAT 336, IT ITA 380, MT MLT 470, ME MNE 499, MK MKD 807, PT PRT 620, SM SMR 674, RS SRB 688, SI SVN 705, ES ESP 724
Europe|Western Europe|AT AUT 040, BE BEL 056, FR FRA 250, DE DEU 276, LI LIE 438, LU LUX 442, MC MCO 492, NL NLD 528, CH CHE 756
Oceania|Australia and New Zealand|AU AUS 036, CX CXR 162, CC CCK 166, HM HMD 334, NZ NZL 554, NF NFK 574
Oceania|Melanesia|FJ FJI 242, NC NCL 540, PG PNG 598, SB SLB 090, VU VUT 548
Oceania|Micronesia|GU GUM 316, KI KIR 296, MH MHL 584, FM FSM 583, NR NRU 520, MP MNP 580, PW PLW 585, UM UMI 581
Oceania|Polynesia|AS ASM 016, CK COK 184, PF PYF 258, NU NIU 570, PN PCN 612, WS WSM 882, TK TKL 772, TO TON 776, TV TUV 798, WF WLF 876
"""


def _hierarchy(name: str, field: int) -> Hierarchy:
    """Return the hierarchy over one kind of code: 0 for alpha-2, 1 for alpha-3, 2 for numbers."""
    places: dict[str, Path] = {}
    tree: dict[str, Path] = {}
    for line in _REGIONS.strip().split("\n"):
        continent, region, countries = line.split("|")
        tree[continent], tree[region] = (continent,), (continent, region)
        for country in countries.split(", "):
            places[country.split()[field]] = (continent, region)
    tree["Antarctica"] = ("Antarctica",)
    return Hierarchy(
        name=name,
        levels=("continent", "region"),
        tree=tree,
        place=partial(listed, places),
        codes=tuple(sorted(places)),
    )


ISO3166 = _hierarchy("iso3166", 0)
ISO3166_ALPHA3 = _hierarchy("iso3166_alpha3", 1)
ISO3166_NUMERIC = _hierarchy("iso3166_numeric", 2)
