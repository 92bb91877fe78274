"""The product's line icons on a 24 by 24 grid with a 1.75 stroke, one SVG path each."""


def _circle(x: float, y: float, radius: float) -> str:
    return f"M{x - radius} {y}a{radius} {radius} 0 1 0 {2 * radius} 0a{radius} {radius} 0 1 0 {-2 * radius} 0"


_DISC = _circle(12, 12, 9)

ICONS: dict[str, str] = {
    "account": "M3 10l9-6 9 6M5 10v8M10 10v8M14 10v8M19 10v8M3 20h18",
    "activation": "M13 3L5 13.5h6L10 21l8-10.5h-6z",
    "archive": "M4 8v11h16V8M3 4h18v4H3zM10 12h4",
    "arrow-left": "M19 12H5M11 6l-6 6 6 6",
    "arrow-right": "M5 12h14M13 6l6 6-6 6",
    "audit": "M8 4H6v17h12V4h-2M8 3h8v3H8zM9 11h6M9 15h6",
    "bell": "M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15zM10 21h4",
    "bill": "M6 3h12v18l-3-2-3 2-3-2-3 2zM9 8h6M9 12h6",
    "calendar": "M4 6h16v14H4zM4 10h16M8 3v4M16 3v4",
    "card": "M3 6h18v12H3zM3 10h18M7 15h3",
    "check": "M5 12.5l4.5 4.5L19 7.5",
    "chevron-down": "M6 9.5l6 6 6-6",
    "chevron-left": "M14.5 6l-6 6 6 6",
    "chevron-right": "M9.5 6l6 6-6 6",
    "chevron-up": "M6 15l6-6 6 6",
    "clients": _circle(9, 8, 3.5)
    + "M2.5 20c0-3.6 2.9-6 6.5-6s6.5 2.4 6.5 6M15.5 4.8a3.5 3.5 0 0 1 0 6.4M18 14.6"
    "c2.2.8 3.5 2.8 3.5 5.4",
    "clock": _DISC + "M12 7v5l3.5 2",
    "close": "M6 6l12 12M18 6L6 18",
    "code": "M8 7l-5 5 5 5M16 7l5 5-5 5",
    "connection": "M9 15l6-6M10.5 6.5l1.6-1.6a4.9 4.9 0 0 1 7 7l-1.6 1.6M13.5 17.5l-1.6 1.6a4.9 4.9 0 0 1-7-7l1.6-1.6",
    "contact": _circle(12, 8, 4) + "M4.5 21c0-4 3.3-6.5 7.5-6.5s7.5 2.5 7.5 6.5",
    "copy": "M9 9h11v11H9zM5 15H4V4h11v1",
    "delivery": "M4 13l2.5-8h11L20 13v6H4zM4 13h5l1 2.5h4l1-2.5h5",
    "device": "M4 5h16v11H4zM2.5 20h19",
    "document": "M6 3h8l4 4v14H6zM14 3v4h4",
    "dots": _circle(5.5, 12, 0.8) + _circle(12, 12, 0.8) + _circle(18.5, 12, 0.8),
    "download": "M12 4v11M7 11l5 5 5-5M4 20h16",
    "edit": "M4 20l1-4.5L16.5 4l3.5 3.5L8.5 19zM14 6.5l3.5 3.5",
    "error": _DISC + "M9 9l6 6M15 9l-6 6",
    "external": "M13 5h6v6M19 5l-9 9M17 14v5H5V7h5",
    "eye": "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12z"
    + _circle(12, 12, 2.8),
    "filter": "M4 5h16l-6.2 7.5V19l-3.6-2v-4.5z",
    "home": "M4 11l8-7 8 7M6 9.5V20h12V9.5M10 20v-6h4v6",
    "info": _DISC + "M12 11v5.5M12 7.6v.2",
    "invoice": "M6 3h8l4 4v14H6zM14 3v4h4M9 12h6M9 16h4",
    "item": "M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9",
    "key": _circle(8, 15, 4.5) + "M11.2 11.8L20 3M16.5 6.5l3 3M14 9l2 2",
    "logout": "M14 4h-9v16h9M10 12h11M17 8l4 4-4 4",
    "mail": "M3 6h18v12H3zM3 7l9 6.5L21 7",
    "menu": "M4 7h16M4 12h16M4 17h16",
    "minus": _DISC + "M8 12h8",
    "moon": "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z",
    "pause": "M8.5 5v14M15.5 5v14",
    "phone": "M7 3h10v18H7zM11 18h2",
    "play": "M7 4.5v15l12-7.5z",
    "plus": "M12 5v14M5 12h14",
    "print": "M7 9V3h10v6M7 17H4V9h16v8h-3M7 14h10v7H7z",
    "question": _DISC + "M9.3 9.5a2.8 2.8 0 1 1 4 2.6c-.9.4-1.3 1-1.3 1.9M12 16.8v.2",
    "receivables": "M4 20V11M10 20V4M16 20v-7M21 20H3",
    "refresh": "M20 5v5h-5M4 19v-5h5M19 10a7.5 7.5 0 0 0-13.5-2.5M5 14a7.5 7.5 0 0 0 13.5 2.5",
    "search": _circle(11, 11, 6.5) + "M16 16l4.5 4.5",
    "settings": "M4 7h9M17 7h3M4 17h3M11 17h9" + _circle(15, 7, 2) + _circle(9, 17, 2),
    "shield": "M12 3l8 3v6c0 4.6-3.2 7.7-8 9-4.8-1.3-8-4.4-8-9V6zM8.5 12l2.5 2.5 4.5-5",
    "sun": _circle(12, 12, 4)
    + "M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7"
    "l1.4-1.4M17.3 6.7l1.4-1.4",
    "switch": "M8 9l4-4 4 4M8 15l4 4 4-4",
    "team": _circle(12, 7.5, 3.5)
    + "M5 20c0-3.8 3.1-6 7-6s7 2.2 7 6M3 12.5a2.5 2.5 0 1 1 3.2-3.6M21 12.5a2.5 2.5 0 1 0-3.2-3.6",
    "trash": "M4 7h16M9 7V4h6v3M6 7l1 14h10l1-14M10 11v6M14 11v6",
    "upload": "M12 16V5M7 9l5-5 5 5M4 20h16",
    "warning": "M12 3.5l9.5 17h-19zM12 10v4.5M12 17.3v.2",
    "webhook": _circle(12, 7, 3)
    + _circle(6, 17, 3)
    + _circle(18, 17, 3)
    + "M10.6 9.6L7.5 14.4M9 17h6M16.5 14.4l-3.1-4.8",
    "workflow": "M4 4h6v5H4zM14 15h6v5h-6zM7 9v8.5h7",
}
