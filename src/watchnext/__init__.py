"""watchnext: two-stage video recommendation after Covington, Adams and Sargin (RecSys 2016)."""

__version__ = "0.1.0"
