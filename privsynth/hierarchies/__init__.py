"""How codes group, in several levels: code books that ship by rule, and those that a user writes. Public by nature."""

from privsynth.hierarchies.declared import hierarchy_data, hierarchy_from
from privsynth.hierarchies.hierarchy import Hierarchy
from privsynth.hierarchies.shipped import SHIPPED
from privsynth.hierarchies.written import read_csv, written

__all__ = ["SHIPPED", "Hierarchy", "hierarchy_data", "hierarchy_from", "read_csv", "written"]
