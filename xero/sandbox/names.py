"""Names and texts of the seeded organisations."""

from functools import cache
from random import Random

TRADES = (
    "Catering",
    "Bicycle manufacture and repair",
    "Design and print studio",
    "Landscaping",
    "Physiotherapy",
    "Joinery",
)
_ORGANISATIONS = ("Harbour & Vine Catering Limited", "Pennine Cycle Works Ltd", "Demo Company (AU)")
_MORE = (
    "Kestrel",
    "Northlight",
    "Redwood",
    "Saltmarsh",
    "Copper Lane",
    "Fernhill",
    "Quayside",
    "Milestone",
)
_KINDS = (
    "Landscapes",
    "Physiotherapy",
    "Joinery",
    "Interiors",
    "Electrical",
    "Veterinary Clinic",
    "Bakery",
)
_SUFFIX = {"NZ": "Limited", "GB": "Ltd", "AU": "Pty Ltd"}
COUNTRY_NAMES = {"NZ": "New Zealand", "GB": "United Kingdom", "AU": "Australia"}
REGIONS = ("Eastside", "North", "South", "West Coast")
TEAMS = ("Delivery", "Sales: new customers", "Support")
# category, its options, status
TRACKING = (
    ("Region", REGIONS, "ACTIVE"),
    ("Team", TEAMS, "ACTIVE"),
    ("Campaign", ("Spring fair",), "ARCHIVED"),
)
STREETS = (
    "High Street",
    "Victoria Street",
    "Station Road",
    "Queen Street",
    "Mill Lane",
    "Church Road",
    "King Street",
)
_TOWNS = {
    "NZ": (("Wellington", "Wellington", "6011"), ("Auckland", "Auckland", "1010"), ("Nelson", "Nelson", "7010"),
           ("Dunedin", "Otago", "9016"), ("Napier", "Hawke's Bay", "4110"), ("Tauranga", "Bay of Plenty", "3110")),
    "GB": (("Leeds", "West Yorkshire", "LS1 4AP"), ("Sheffield", "South Yorkshire", "S1 2HE"),
           ("Manchester", "Greater Manchester", "M2 5DB"), ("York", "North Yorkshire", "YO1 7HH"),
           ("Halifax", "West Yorkshire", "HX1 1UB"), ("Skipton", "North Yorkshire", "BD23 1JD")),
    "AU": (("Sydney", "NSW", "2000"), ("Melbourne", "VIC", "3000"), ("Hobart", "TAS", "7000"),
           ("Newcastle", "NSW", "2300"), ("Fremantle", "WA", "6160"), ("Adelaide", "SA", "5000")),
}  # fmt: skip
_PLACES = (
    ("Karori", "Te Aro", "Oriental Bay", "Petone", "Thorndon", "Miramar", "Island Bay", "Khandallah",
     "Newtown", "Kelburn", "Brooklyn", "Seatoun", "Wadestown"),
    ("Ilkley", "Otley", "Hebden Bridge", "Saltaire", "Holmfirth", "Roundhay", "Chapel Allerton", "Todmorden",
     "Keighley", "Headingley", "Malham", "Harrogate", "Bingley"),
    ("Surry Hills", "Fitzroy", "Glebe", "Balmain", "Carlton", "Newtown", "Paddington", "Brunswick", "Manly",
     "Coogee", "Richmond", "St Kilda", "Bondi"),
)  # fmt: skip
_CUSTOMERS = (
    "Dental Practice", "Primary School", "Community Trust", "Architects", "Legal", "Yoga Studio", "Rugby Club",
    "Bookshop", "Medical Centre", "Film Festival", "Art Gallery", "Wine Bar", "Theatre Company",
    "Property Group", "Veterinary Clinic", "Engineering", "Recruitment",
)  # fmt: skip
_SUPPLIERS = (
    "Power & Gas", "Wholesale Foods", "Freight", "Telecom", "Property Management", "Office Supplies",
    "Insurance Brokers", "Fleet Leasing", "Cleaning Services", "Packaging", "Software", "Print & Sign",
    "Accounting", "Fuel", "Maintenance", "Advertising", "Security",
)  # fmt: skip
_FIRST = (
    "Aroha", "Ben", "Chloe", "Daniel", "Emily", "Farid", "Grace", "Hemi", "Isla", "Jack", "Kiri", "Liam",
    "Maya", "Noah", "Olivia", "Priya", "Quinn", "Ruth", "Sam", "Tane", "Una", "Victor", "Wei", "Zoe",
)  # fmt: skip
_LAST = (
    "Adams", "Brown", "Chen", "Davies", "Evans", "Fraser", "Green", "Hughes", "Ihaka", "Jones", "Khan", "Lewis",
    "Morris", "Ngata", "O'Brien", "Patel", "Reid", "Singh", "Taylor", "Walker", "Young",
)  # fmt: skip
# what a supplier of that sort bills: words, account, lowest and highest price
BILLS = (
    ("Electricity and gas", "445", 120, 900),
    ("Ingredients and consumables", "310", 80, 2400),
    ("Courier and freight", "425", 25, 380),
    ("Broadband and mobile phones", "489", 60, 420),
    ("Rent of premises", "469", 1800, 5200),
    ("Stationery and toner", "461", 18, 260),
    ("Public liability insurance, monthly part", "433", 90, 640),
    ("Van lease", "449", 380, 980),
    ("Cleaning, weekly", "408", 75, 310),
    ("Boxes, labels and wrapping", "310", 40, 700),
    ("Software subscription", "485", 12, 490),
    ("Leaflets and signs", "400", 95, 1500),
    ("Bookkeeping and advice", "412", 220, 1600),
    ("Fuel", "449", 45, 290),
    ("Repairs to equipment", "473", 110, 1900),
    ("Online advertising", "400", 60, 1250),
    ("Alarm monitoring", "429", 35, 140),
)
_PRODUCTS = (
    (
        ("LUNCH", "Working lunch", "Working lunch, per person", "24.50"),
        ("CANAPE", "Canapés", "Canapés, six pieces per person", "31.00"),
        ("DINNER", "Three course dinner", "Three course dinner, per person", "86.00"),
        ("STAFF", "Waiting staff", "Waiting staff, per hour", "38.75"),
        ("HIRE", "Crockery hire", "Hire of crockery and glasses, per setting", "6.20"),
        ("WINE", "Wine, house", "House wine, per bottle", "42.00"),
        ("CAKE", "Celebration cake", "Celebration cake, three tiers", "395.00"),
        ("KITCHEN", "Mobile kitchen", "Mobile kitchen, per day", "720.00"),
    ),
    (
        ("FRAME-ST", "Steel frame", "Hand-built steel frame", "1180.00"),
        ("BIKE-TR", "Tourer", "Touring bicycle, built to order", "2350.00"),
        ("SERVICE", "Full service", "Full service with parts check", "95.00"),
        ("WHEELS", "Wheel pair", "Wheel pair, built by hand", "460.00"),
        ("FLEET", "Fleet maintenance", "Fleet maintenance, monthly, per bicycle", "18.50"),
        ("TRAIN", "Training day", "Cycle training, per day", "340.00"),
        ("LOCK", "Lock", "Steel lock, gold rated", "64.99"),
    ),
    (
        ("GB1-White", "Golf balls - white single", "Golf balls - white single", "5.60"),
        ("BOOK", "Guide book", "'Fish out of Water: Finding Your Brand'", "19.95"),
        ("DEV-H", "Development work", "Development work - developer on site, per day", "650.00"),
        (
            "PMBr",
            "Project management",
            "Project management and implementation, branding work",
            "1500.00",
        ),
        ("TSS-M", "T-shirt, medium", "T-shirt, medium, black", "40.00"),
        ("SIGN", "Shop sign", "Shop sign, painted", "880.00"),
        ("CARDS", "Business cards", "Business cards, 500", "129.00"),
    ),
)


def organisation(index: int, country: str) -> str:
    if index < len(_ORGANISATIONS):
        return _ORGANISATIONS[index]
    number = index - len(_ORGANISATIONS)
    round_, place = divmod(number, len(_MORE) * len(_KINDS))
    name = f"{_MORE[place % len(_MORE)]} {_KINDS[place // len(_MORE)]}"
    return f"{name}{f' {round_ + 1}' if round_ else ''} {_SUFFIX[country]}"


def contact(index: int, place: int, *, supplier: bool) -> str:
    """Return a name that is unique within one organisation."""
    places, kinds = _PLACES[index % len(_PLACES)], _SUPPLIERS if supplier else _CUSTOMERS
    # 13 places and 17 kinds share no factor: the pair repeats only after 221
    round_ = place // (len(places) * len(kinds))
    name = f"{places[place % len(places)]} {kinds[place % len(kinds)]}"
    return f"{name} {round_ + 1}" if round_ else name


def person(random: Random) -> tuple[str, str]:
    return random.choice(_FIRST), random.choice(_LAST)


def town(country: str, place: int) -> tuple[str, str, str]:
    return _TOWNS[country][place % len(_TOWNS[country])]


@cache
def products(index: int) -> tuple[tuple[str, str, str, str], ...]:
    """Return (code, name, description, price) of the products."""
    return _PRODUCTS[index % len(_PRODUCTS)]


def bill_prefix(category: int) -> str:
    return ("", "SI-", "T", "A/", "RPT-")[category % 5]
