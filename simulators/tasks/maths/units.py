"""Units that answers may come in: by spelling, what one is worth in the unit that is asked for."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Final

__all__ = ["accepted"]

_GROUPS: Final[tuple[Mapping[str, str], ...]] = (
    {
        "m": "1",
        "metres": "1",
        "meters": "1",
        "米": "1",
        "km": "1000",
        "千米": "1000",
        "cm": "1/100",
        "厘米": "1/100",
        "mm": "1/1000",
    },
    {"s": "1", "seconds": "1", "秒": "1", "ms": "1/1000", "min": "60", "分钟": "60", "h": "3600", "小时": "3600"},
    {"m/s": "1", "m*s-1": "1", "ms-1": "1", "米/秒": "1", "km/h": "5/18", "千米/小时": "5/18", "cm/s": "1/100", "km/s": "1000"},
    {"N": "1", "牛": "1", "牛顿": "1", "kN": "1000", "mN": "1/1000"},
    {"J": "1", "焦": "1", "焦耳": "1", "kJ": "1000", "千焦": "1000", "MJ": "1000000", "mJ": "1/1000"},
    {"W": "1", "瓦": "1", "kW": "1000", "千瓦": "1000", "mW": "1/1000", "MW": "1000000"},
    {"Pa": "1", "帕": "1", "kPa": "1000", "千帕": "1000", "MPa": "1000000", "bar": "100000"},
    {"A": "1", "安": "1", "安培": "1", "mA": "1/1000", "毫安": "1/1000"},
    {"V": "1", "伏": "1", "伏特": "1", "mV": "1/1000", "kV": "1000"},
    {"Ω": "1", "ohm": "1", "ohms": "1", "欧": "1", "欧姆": "1", "kΩ": "1000", "\\Omega": "1"},
    {"g": "1", "grams": "1", "克": "1", "kg": "1000", "千克": "1000", "mg": "1/1000", "毫克": "1/1000"},
    {"mol": "1", "摩尔": "1", "摩": "1", "mmol": "1/1000", "kmol": "1000"},
    {"mol/L": "1", "M": "1", "mol/l": "1", "mol*L-1": "1", "molL-1": "1", "摩尔/升": "1", "mmol/L": "1/1000", "mM": "1/1000"},
    {"L": "1", "l": "1", "litres": "1", "liters": "1", "升": "1", "mL": "1/1000", "ml": "1/1000", "毫升": "1/1000"},
    {"kg/m3": "1", "g/cm3": "1000"},
    {"m/s2": "1", "米/秒2": "1"},
    {"g/mol": "1", "克/摩尔": "1"},
    {"%": "1"},
    {"K": "1", "开": "1"},
    {"°C": "1", "C": "1", "℃": "1"},
    {"Hz": "1", "kHz": "1000", "MHz": "1000000"},
    {"D": "1", "dpt": "1"},
    {"": "1"},
)


def accepted(unit: str) -> Mapping[str, str]:
    """Spellings of `unit` and of others of its dimension, each worth so many of it."""
    group = next(group for group in _GROUPS if unit in group)
    return {spelling: str(Fraction(worth) / Fraction(group[unit])) for spelling, worth in group.items() if spelling}
